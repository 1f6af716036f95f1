"""Learners on sb3-contrib, which the extra `contrib` installs: imported only where one is built."""
