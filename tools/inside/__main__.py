"""Starts wsgiproxy from the one file.

Python compiles what it imports from a zip file anew at every start. Therefore the first start
unpacks and compiles the file in the user's cache, and this and later ones run from there. Where
that is not possible, or not wanted (``WSGIPROXY_CACHE=``), it runs from the file itself.
"""

# Old versions of Python must be able to read this, so that they can say that they are too old.
# Therefore there are no annotations and no f-strings here.
import os
import sys

#: A name for what the file holds, set by the tool that builds it.
BUILD = "@BUILD@"


def find_code(archive):
    """The folder or file to import from: the unpacked copy, or the archive."""
    parent = find_cache()
    if not os.path.isabs(parent):
        return archive
    folder = os.path.join(parent, "%s-%s" % (BUILD, sys.implementation.cache_tag))
    try:
        if not os.path.isdir(folder):
            unpack(archive, parent, folder)
        return folder if is_own(parent) and is_own(folder) else archive
    except OSError:
        return archive


def find_cache():
    """The folder of all unpacked copies; nothing, if none is wanted."""
    given = os.environ.get("WSGIPROXY_CACHE")
    if given is not None:
        return given
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "wsgiproxy")


def is_own(folder):
    """Whether nobody else can write there; code from a stranger's folder is not run."""
    status = os.lstat(folder)
    user = os.geteuid() if hasattr(os, "geteuid") else status.st_uid
    return status.st_uid == user and not status.st_mode & 0o022


def unpack(archive, parent, folder):
    """Unpack and compile all at once: whoever finds the folder finds it complete."""
    import compileall
    import shutil
    import tempfile
    import zipfile

    os.makedirs(parent, 0o700, exist_ok=True)
    draft = tempfile.mkdtemp(dir=parent)
    try:
        with zipfile.ZipFile(archive) as content:
            content.extractall(draft)
        compileall.compile_dir(draft, ddir=folder, quiet=2)
        os.rename(draft, folder)
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
        # Another process may have been faster; then its copy is the same.
        if not os.path.isdir(folder):
            raise


def main():
    """Run the command line."""
    if sys.version_info < (3, 10):
        sys.exit("wsgiproxy needs Python 3.10 or newer; this is %d.%d" % sys.version_info[:2])
    sys.path[0] = find_code(sys.path[0])
    from wsgiproxy.cli import main as run

    sys.exit(run())


if __name__ == "__main__":
    main()
