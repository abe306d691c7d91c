"""The shape of the package: imports go one way, dependencies stay few, names are complete."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import wsgiproxy

PACKAGE = Path(wsgiproxy.__file__).parent
ROOT = PACKAGE.parent
MODULES = sorted(
    "wsgiproxy." + str(path.relative_to(PACKAGE).with_suffix("")).replace("/", ".")
    for path in PACKAGE.rglob("*.py")
    if path.name != "__init__.py"
) + sorted(
    ".".join(["wsgiproxy", *path.parent.relative_to(PACKAGE).parts])
    for path in PACKAGE.rglob("__init__.py")
)


def source_of(module: str) -> Path:
    path = ROOT / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imports_of(module: str, *, everywhere: bool, types: bool = True) -> set[str]:
    """The modules that one imports: all of them, or at its import only.

    :param types: whether imports for annotations alone count.
    """
    path = source_of(module)
    tree = ast.parse(path.read_text())
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found: set[str] = set()
    for node in _walk(tree, everywhere, types):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parent, base]).rstrip(".")
            found.update(
                f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base
                for alias in node.names
            )
    return found


def _walk(node: ast.AST, everywhere: bool, types: bool) -> list[ast.AST]:
    nodes = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)) and not everywhere:
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test) and not types:
            continue
        nodes.append(child)
        nodes.extend(_walk(child, everywhere, types))
    return nodes


def cycle_in(graph: dict[str, set[str]]) -> list[str]:
    """The first cycle of a graph, as the path that leads round; empty if there is none."""
    done: set[str] = set()

    def visit(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node not in done:
            for following in sorted(graph[node]):
                if found := visit(following, [*path, node]):
                    return found
            done.add(node)
        return []

    return next(filter(None, (visit(node, []) for node in sorted(graph))), [])


@pytest.mark.parametrize(
    ("everywhere", "types"), [(False, True), (True, False)], ids=["types", "late imports"]
)
def test_imports_have_no_cycles(everywhere: bool, types: bool) -> None:
    # A package's own __init__ is no module of its own in the order of its parts.
    graph = {
        module: {
            name
            for name in imports_of(module, everywhere=everywhere, types=types)
            if name in MODULES and not module.startswith(name + ".") and name != "wsgiproxy"
        }
        for module in MODULES
    }

    assert cycle_in(graph) == []


def test_cycle_is_found() -> None:
    assert cycle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


# -- rooms: docs/rooms.rst has the table --------------------------------------------------


def rooms() -> dict[str, set[str]]:
    """What each room may import, as the documentation says."""
    rows = re.findall(
        r"^   \* - ``(\w+)``\n     - [^\n]+\n     -(.*)$",
        (ROOT / "docs" / "rooms.rst").read_text(),
        re.MULTILINE,
    )
    return {room: set(allowed.replace(",", " ").split()) for room, allowed in rows}


ROOMS = rooms()


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def private_names(module: str) -> set[str]:
    """Names with an underscore that a module imports from another one."""
    return {
        alias.name
        for node in ast.walk(ast.parse(source_of(module).read_text()))
        if isinstance(node, ast.ImportFrom) and (node.level or node.module != "__future__")
        for alias in node.names
        if alias.name.startswith("_")
        and not alias.name.startswith("__")
        and not (node.module or "").startswith("_")
    }


def test_every_module_has_a_room() -> None:
    found = {room_of(module) for module in MODULES} - {"", "__main__"}

    assert found == set(ROOMS)


def test_rooms_have_no_cycles() -> None:
    assert cycle_in(ROOMS) == []


@pytest.mark.parametrize("module", [m for m in MODULES if room_of(m) in ROOMS])
def test_room_uses_only_what_its_line_says(module: str) -> None:
    own = {room_of(name) for name in imports_of(module, everywhere=True) if name in MODULES}

    assert own - {"", room_of(module)} <= ROOMS[room_of(module)]


@pytest.mark.parametrize("module", MODULES)
def test_module_imports_no_private_name(module: str) -> None:
    assert not private_names(module)


def test_theming_knows_nothing_of_proxying() -> None:
    assert ROOMS["theming"] == {"errors", "protocol", "settings"}


@pytest.mark.parametrize(
    "module", [m for m in MODULES if room_of(m) in ("errors", "protocol", "settings")]
)
def test_pure_room_knows_neither_sockets_nor_wsgi(module: str) -> None:
    strangers = {"socket", "ssl", "select", "selectors", "threading", "webob", "urllib3"}

    assert not strangers & imports_of(module, everywhere=True)


@pytest.mark.parametrize("module", [m for m in MODULES if room_of(m) in ("relay", "upstream")])
def test_room_knows_no_wsgi(module: str) -> None:
    assert not {"_typeshed.wsgi", "webob", "waitress"} & imports_of(module, everywhere=True)
    # How an environ names things is WSGI too.
    assert not re.search(r"environ\b|start_response|wsgi\.", source_of(module).read_text())


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_import_loads_urllib3_and_webob_only() -> None:
    loaded = run(
        """
        import sys, importlib.metadata as metadata
        before = set(sys.modules)
        import wsgiproxy
        names = {name.partition(".")[0] for name in set(sys.modules) - before}
        print(*(n for n in names if not n.startswith("_") and n not in sys.stdlib_module_names))
        """
    ).split()

    # What urllib3 itself takes if it is there is its own affair.
    decoders = {"brotli", "brotlicffi", "zstandard", "backports", "h2"}
    assert set(loaded) <= {"wsgiproxy", "urllib3", "webob", "cgi", *decoders}
    assert {"urllib3", "webob"} <= set(loaded)


@pytest.mark.parametrize(
    "absent", ["waitress", "lxml", "diazo", "django", "flask", "pyramid", "gevent", "paste"]
)
def test_middleware_works_without(absent: str) -> None:
    run(
        f"""
        import sys
        sys.modules[{absent!r}] = None
        from wsgiproxy import ProxyMiddleware
        app = ProxyMiddleware(lambda e, s: [b"x"], {{"/p": "http://localhost:1"}})
        assert app({{"PATH_INFO": "/"}}, None) == [b"x"]
        """
    )


@pytest.mark.parametrize("module", MODULES)
def test_all_names_what_is_public(module: str) -> None:
    tree = ast.parse(source_of(module).read_text())
    defined = {
        node.name
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
    }
    exported = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and ast.dump(node.targets[0]).startswith("Name(id='__all__'")
    ]
    if module.endswith("__main__") or not (exported or defined):
        return
    assert exported, "no __all__"
    assert len(set(exported[0])) == len(exported[0])
    missing = set(exported[0]) - _bound(tree)
    assert not missing, missing
    assert list(exported[0]) == sorted(exported[0], key=_sort_key)


def _bound(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def _sort_key(name: str) -> tuple[int, str]:
    # As ruff sorts __all__: constants, classes, the rest.
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2, name)


def test_public_names_are_all_there() -> None:
    assert {"ProxyMiddleware", "Route", "Upstream", "HostProxy", "TransparentProxy"} <= set(
        wsgiproxy.__all__
    )
    for name in wsgiproxy.__all__:
        assert hasattr(wsgiproxy, name)


@pytest.mark.parametrize("module", MODULES)
def test_module_and_functions_stay_small(module: str) -> None:
    text = source_of(module).read_text()
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno:
            length = node.end_lineno - node.lineno + 1
            docstring = ast.get_docstring(node, clean=False)
            length -= len(docstring.splitlines()) if docstring else 0
            assert length <= 50, f"{node.name} has {length} lines"


@pytest.mark.parametrize("module", MODULES)
def test_module_says_what_it_is(module: str) -> None:
    tree = ast.parse(source_of(module).read_text())

    assert ast.get_docstring(tree)
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{module}.{node.name} has no docstring"


# Those of the adapters need their framework around them; their own tests have it.
SNIPPETS = [
    pytest.param(snippet, id=f"{path.relative_to(ROOT)}-{number}")
    for path in sorted(PACKAGE.rglob("*.py"))
    if not set(path.relative_to(PACKAGE).with_suffix("").parts) & {"django", "flask", "pyramid"}
    for docstring in [
        ast.get_docstring(node) or ""
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
    ]
    for number, snippet in enumerate(re.findall(r"::\n\n((?:    .*\n?|\n)+)", docstring))
    if re.search(r"ProxyMiddleware\(|HostProxy\(|Route\(", snippet)
]


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_snippet_of_a_docstring_runs(snippet: str) -> None:
    names: dict[str, object] = {
        "application": lambda environ, start_response: [],
        "app": lambda environ, start_response: [],
        **{name: getattr(wsgiproxy, name) for name in wsgiproxy.__all__},
    }
    exec(compile(textwrap.dedent(snippet), "docstring", "exec"), names)


def test_every_module_can_be_imported_alone() -> None:
    # One process for all would hide a cycle behind the order of the imports; a fork for each
    # does not, and costs no interpreter's start.
    broken = run(
        f"""
        import importlib, os, sys, traceback
        import urllib3, webob
        for name in {[name for name in MODULES if not name.endswith("__main__")]!r}:
            child = os.fork()
            if not child:
                try:
                    importlib.import_module(name)
                except BaseException:
                    traceback.print_exc(file=sys.stdout)
                    print(name, flush=True)
                os._exit(0)
            os.waitpid(child, 0)
        """
    )

    assert broken == ""
