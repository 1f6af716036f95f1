"""Perception models by name or path: ours, or a YAML file that says how to use one that others made.

It knows where networks come from, and which of them are code. It knows no score.
"""

from collections.abc import Sequence
from pathlib import Path

from drive_rl.config.extensions import Extension, find, specs_are_trusted
from drive_rl.config.kinds import is_adapter
from drive_rl.config.reader import adapter_of, load_adapter
from drive_rl.config.shelf import entries, home
from drive_rl.config.specs.adapter import AdapterSpec
from drive_rl.errors import DriveRLError
from drive_rl.perception.adapter.adapted_model import AdaptedModel
from drive_rl.perception.adapter.files import beside
from drive_rl.perception.adapter.onnx_file import OnnxFile, check_onnx, onnx_network
from drive_rl.perception.adapter.prepare import Prepare
from drive_rl.perception.adapter.torch_model import plugin_network, torch_network
from drive_rl.perception.models.load import Trained, load_trained
from drive_rl.perception.models.perception_model import FileModel

_NETWORKS = (".onnx", ".pt2", ".ts", ".torchscript")


def load_model(name: str) -> Trained:
    """Return a perception model, in evaluation mode on the CPU.

    Args:
        name: As `load_trained` takes it, or a YAML file of a model that others made (`AdapterSpec`), or the name of
            such a file on the shelf `agents/`, or of a plugin's perception model.

    Raises:
        DriveRLError: there is none, it is code that the user has not trusted, or it is not what the file states.
    """
    if name.endswith(_NETWORKS):
        expected = "a YAML file that states its input and outputs"
        raise DriveRLError(
            f"{name}: is a network: expected {expected}; fix: write one, as docs/howto/own-model.md does"
        )
    shelf = entries("agents")
    path = shelf.get(name, home(name))
    if (extension := find("perception_model", name)) is not None:
        if name in shelf:
            raise DriveRLError(f"{extension.plugin}: perception_model {name}: {path} has that name; fix: rename it")
        return _of_plugin(extension)
    if path.suffix not in (".yaml", ".yml") or (name in shelf and not is_adapter(path)):
        return load_trained(name)
    spec = load_adapter(path)
    return _onnx(spec, path) if spec.network == "ONNX" else _torch(spec, path)


def first_that_loads(names: Sequence[str]) -> tuple[str, Trained]:
    """Return the first name that is a perception model, and the model.

    Raises:
        DriveRLError: none of them can be loaded.
    """
    reasons: list[str] = []
    for name in names:
        try:
            return name, load_model(name)
        except DriveRLError as error:
            reasons.append(str(error))
    raise DriveRLError("\n".join(reasons) or "no model is named; fix: drive-rl bench perception MODEL...")


def _of_plugin(extension: Extension) -> Trained:
    file = extension.plugin.file
    model = f"{file.name}:{extension.name}"
    spec = adapter_of({**extension.about, "model": model}, extension.name, file)
    weights = None if spec.weights is None else beside(file, "weights", spec.weights)
    network, files = plugin_network(extension, weights)
    adapted = AdaptedModel(spec, network.eval(), str(extension.plugin))
    return Trained(spec.name, spec, adapted.eval(), files[0], tuple(files[1:]))


def _onnx(spec: AdapterSpec, path: Path) -> Trained:
    file = check_onnx(beside(path, "model", spec.model))

    def of_file(threads: int) -> FileModel:
        network = onnx_network(file.path, str(path), Prepare(spec.input, spec.world.camera), threads)
        return FileModel(AdaptedModel(spec, network, str(path)), file.parameters, _bytes(file))

    network = onnx_network(file.path, str(path), Prepare(spec.input, spec.world.camera))
    model = AdaptedModel(spec, network, str(path), of_file)
    return Trained(spec.name, spec, model.eval(), file.path, file.external)


def _torch(spec: AdapterSpec, path: Path) -> Trained:
    source, _, factory = spec.model.partition(":")
    if spec.network == "Python" and not (source and factory.isidentifier()):
        forms = "FILE.onnx, FILE.pt2, FILE.ts, FILE.py:FACTORY, PACKAGE.MODULE:FACTORY or timm:NAME"
        raise DriveRLError(f"{path}: model = {spec.model!r}: expected {forms}; fix: one of them")
    if spec.network != "timm" and not specs_are_trusted():
        raise DriveRLError(
            f"{path}: model = {spec.model}: is code, and does not run untrusted; fix: --trust, or an ONNX file of it"
        )
    weights = None if spec.weights is None else beside(path, "weights", spec.weights)
    network, files = torch_network(spec, path, weights)
    model = AdaptedModel(spec, network.eval(), str(path))
    return Trained(spec.name, spec, model.eval(), files[0], tuple(files[1:]))


def _bytes(file: OnnxFile) -> int:
    return sum(each.stat().st_size for each in (file.path, *file.external))
