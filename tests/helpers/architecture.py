"""The promises of the architecture as functions of a source tree: each names what breaks one."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from inspect import Parameter, isclass, signature
from pathlib import Path
from typing import Any

import yaml
from hydra.utils import get_object

PACKAGE = "ir_lightning"
FLOORS = (
    {"arguments", "files", "names", "errors"},
    {"metrics", "networks", "losses", "statistics", "runs", "build", "information"},
    {"data", "systems"},
    {"training"},
    {"launch", "inference"},
    {"report"},
    {"cli", "__init__", "__main__"},
)
"""From the lowest to the highest; a module may import what lies below it or in its own folder."""

LINES, MODULES, FUNCTION = 400, 12, 60
HYDRAS_KEYS = {"_target_", "_partial_", "_convert_", "_args_", "_recursive_"}


def modules(root: Path) -> dict[str, Path]:
    """Name inside the package, such as ``networks.layers``, to file."""
    package = root / PACKAGE
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        if parts[-1] == "__init__" and len(parts) > 1:
            parts = parts[:-1]
        found[".".join(parts)] = path
    return found


def imports(path: Path, known: set[str]) -> set[str]:
    """The modules of the package that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        inside = {name.removeprefix(f"{PACKAGE}.") for name in names if name.startswith(PACKAGE)}
        found |= inside & known
    return found


def _floor(module: str) -> int:
    top = module.partition(".")[0]
    return next(number for number, floor in enumerate(FLOORS) if top in floor)


def upward_imports(root: Path) -> list[str]:
    """Imports of a higher floor, or of another folder of the same one."""
    files = modules(root)
    return [
        f"{module} imports {other}"
        for module, path in files.items()
        for other in sorted(imports(path, set(files)))
        if _floor(other) > _floor(module)
    ]


def circles(root: Path) -> list[str]:
    """Modules that import each other, directly or by a detour."""
    files = modules(root)
    graph = {module: imports(path, set(files)) - {module} for module, path in files.items()}
    for module in graph:  # a folder's own name is its __init__, which finds parts by name only
        graph[module] = {other for other in graph[module] if files[other].stem != "__init__"}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [" -> ".join(error.args[1])]
    return []


def long_files(root: Path) -> list[str]:
    """Files of more than 400 lines."""
    counts = {path: len(path.read_text("utf-8").splitlines()) for path in modules(root).values()}
    return [f"{path.relative_to(root)}: {n} lines" for path, n in counts.items() if n > LINES]


def full_folders(root: Path) -> list[str]:
    """Folders of more than twelve modules."""
    counts: dict[Path, int] = defaultdict(int)
    for path in modules(root).values():
        counts[path.parent] += path.stem != "__init__"
    return [f"{f.relative_to(root)}: {n} modules" for f, n in counts.items() if n > MODULES]


def long_functions(root: Path) -> list[str]:
    """Functions of more than sixty lines."""
    return [
        f"{path.relative_to(root)}: {node.name} has {length} lines"
        for path, node in definitions(root)
        if isinstance(node, ast.FunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION
    ]


def open_constructors(root: Path) -> list[str]:
    """Constructors that take any argument."""
    return [
        f"{path.relative_to(root)}: line {node.lineno}"
        for path, node in definitions(root)
        if isinstance(node, ast.FunctionDef) and node.name == "__init__" and node.args.kwarg
    ]


def shared_class_names(root: Path) -> list[str]:
    """Class names that stand for two things."""
    places: dict[str, list[str]] = defaultdict(list)
    for path, node in definitions(root):
        if isinstance(node, ast.ClassDef):
            places[node.name].append(str(path.relative_to(root)))
    return [f"{name}: {', '.join(where)}" for name, where in places.items() if len(where) > 1]


def switches(root: Path) -> list[str]:
    """Decisions by the name of a kind, where an object should decide."""
    found = []
    for path in modules(root).values():
        tree = ast.parse(path.read_text("utf-8"))
        # rows[rows["kind"] == "restored"] chooses rows of a table, and decides nothing.
        masks = {node.slice for node in ast.walk(tree) if isinstance(node, ast.Subscript)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare) and node not in masks and _names_kind(node):
                found.append(f"{path.relative_to(root)}:{node.lineno}: {ast.unparse(node)}")
    return found


def _names_kind(node: ast.Compare) -> bool:
    sides = [node.left, *node.comparators]
    kind = any(
        isinstance(side, ast.Subscript)
        and isinstance(side.slice, ast.Constant)
        and side.slice.value in ("kind", "_target_")
        for side in sides
    )
    literal = any(isinstance(side, ast.Constant) and isinstance(side.value, str) for side in sides)
    return kind and literal and isinstance(node.ops[0], ast.Eq | ast.NotEq)


def definitions(root: Path) -> Iterator[tuple[Path, ast.AST]]:
    """Every class and function, with its file."""
    for path in modules(root).values():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                yield path, node


def configurations(root: Path) -> dict[Path, Any]:
    """Every file of conf/, as written."""
    paths = sorted((root / "conf").rglob("*.yaml"))
    return {path: yaml.safe_load(path.read_text("utf-8")) for path in paths}


def nodes(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """A value and all inside it, each with its dotted key."""
    yield key, value
    entries = value.items() if isinstance(value, dict) else ()
    for name, inside in entries:
        yield from nodes(inside, f"{key}.{name}" if key else str(name))
    if isinstance(value, list):
        for inside in value:
            yield from nodes(inside, f"{key}[]")


def long_targets(root: Path) -> list[str]:
    """Parts of this package that are not named ``ir_lightning.folder.Part``."""
    return [
        f"{path.relative_to(root)}: {value}"
        for path, content in configurations(root).items()
        for key, value in nodes(content)
        if key.rpartition(".")[2] == "_target_"
        and str(value).startswith(PACKAGE)
        and str(value).count(".") != 2
    ]


def unread_arguments(root: Path) -> list[str]:
    """Keys beside a ``_target_`` that its constructor does not take."""
    found = []
    for path, content in configurations(root).items():
        for key, value in nodes(content):
            if isinstance(value, dict) and "_target_" in value:
                taken = parameters(value["_target_"])
                extra = set(value) - HYDRAS_KEYS - (set(value) if taken is None else taken)
                found += [f"{path.relative_to(root)}: {key}.{name}" for name in sorted(extra)]
    return found


def parameters(target: str) -> set[str] | None:
    """The arguments by name of a class or function; None if it takes any, as some libraries' do."""
    made = get_object(target)
    accepted = signature(made.__init__ if isclass(made) else made).parameters.values()
    if any(parameter.kind == Parameter.VAR_KEYWORD for parameter in accepted):
        return None
    return {parameter.name for parameter in accepted}


def unread_keys(root: Path) -> list[str]:
    """Keys outside of parts that no other key refers to and no code reads."""
    written = "\n".join(path.read_text("utf-8") for path in (root / "conf").rglob("*.yaml"))
    references = set(re.findall(r"\$\{\.*([\w.]+)", written))
    references |= set(re.findall(r"\$\{\w+:\$\{([\w.]+)\}", written))
    words = {part for reference in references for part in reference.split(".")}
    words |= _words_of_code(root)
    found = []
    for path, content in configurations(root).items():
        if "hydra" in path.relative_to(root / "conf").parts or not isinstance(content, dict):
            continue
        for key, value in nodes(
            {k: v for k, v in content.items() if k not in ("defaults", "hydra")}
        ):
            name = key.rpartition(".")[2]
            inside = any(_is_part(content, key, depth) for depth in range(key.count(".") + 1))
            if name and not inside and not isinstance(value, dict) and name not in words:
                found.append(f"{path.relative_to(root)}: {key}")
    return [entry for entry in found if "[]" not in entry]


def _is_part(content: Any, key: str, depth: int) -> bool:
    """Whether the part of a key's path up to ``depth`` leads into something with a target."""
    node: Any = content
    if isinstance(node, dict) and "_target_" in node:
        return True
    for name in key.split(".")[: depth + 1]:
        node = node.get(name) if isinstance(node, dict) else None
    return isinstance(node, dict) and "_target_" in node


def _words_of_code(root: Path) -> set[str]:
    """Attributes and string subscripts that the package's code uses."""
    words = set()
    for path in modules(root).values():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute):
                words.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                words |= set(re.findall(r"\w+", node.value)) if len(node.value) < 60 else set()
    return words


def values_of_two_keys(root: Path) -> list[str]:
    """Keys of conf/train.yaml that a constructor's argument refers to, and that code reads, too.

    The argument can be given by itself, so the code would go by another value than the part.
    """
    aliases = set()
    for content in configurations(root).values():
        for key, value in nodes(content):
            if key == "data.seed":  # that of the data may differ from that of the weights
                continue
            reference = re.fullmatch(r"\$\{(\w+)\}", str(value))
            if reference and not key.endswith("]"):
                aliases.add(reference[1])
    top = yaml.safe_load((root / "conf" / "train.yaml").read_text("utf-8"))
    scalars = {key for key in aliases if key in top and not isinstance(top[key], dict | list)}
    found = []
    for path in modules(root).values():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            key = _read_of_config(node)
            if key in scalars:
                found.append(f"{path.relative_to(root)}:{node.lineno}: reads {key}")  # type: ignore[attr-defined]
    return found


def _read_of_config(node: ast.AST) -> str | None:
    """The key, where a configuration is read: ``config.depth``, ``plain["depth"]``."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.attr if node.value.id in ("config", "plain") else None
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        constant = isinstance(node.slice, ast.Constant)
        return str(node.slice.value) if constant and node.value.id in ("config", "plain") else None
    return None
