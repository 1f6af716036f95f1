"""Signals as a terminal gives them: started in the background or by `nohup`, the tests would inherit ignored ones."""

import signal

for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, _handler)
