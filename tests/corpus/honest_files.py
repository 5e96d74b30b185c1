"""Honest changes of files: names, kinds, modes, sizes, tools and their leavings."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

from tests.corpus.book import Json, honest
from tests.corpus.hand import Hand
from tests.corpus.project import git, put

NO_GITIGNORE = ".artifacts/\n.orchestrator/\nprogress/\nworkflow/\n"
WIDE = {"allowed_paths": ["**"]}


@honest("scope")
def repairs_one_line(hand: Hand) -> None:
    """The plain case."""
    hand.fix()


@honest("scope")
def adds_a_new_module(hand: Hand) -> None:
    """A new file inside the scope."""
    hand.fix()
    hand.write("app/extra/helper.py", "X = 1\n")


@honest("scope")
def deletes_a_file(hand: Hand) -> None:
    """A file that nobody needs goes."""
    hand.fix()
    hand.remove("app/names.py")


@honest("scope")
def renames_a_file(hand: Hand) -> None:
    """Both ends are listed."""
    hand.fix()
    hand.move("app/names.py", "app/words.py")


@honest("scope")
def moves_a_folder(hand: Hand) -> None:
    """Every file of a folder gets a new path."""
    hand.fix()
    hand.move("app/old", "app/older")


@honest("scope")
def deletes_a_folder(hand: Hand) -> None:
    """A whole folder goes."""
    hand.fix()
    hand.remove("app/old/first.py")
    hand.remove("app/old/second.py")
    (hand.base / "app/old").rmdir()


@honest("scope")
def adds_a_binary_file(hand: Hand) -> None:
    """Every byte value, in no encoding."""
    hand.fix()
    hand.write("app/data/picture.bin", bytes(range(256)) * 40)


@honest("scope", files={"app/data/picture.bin": bytes(range(256)) * 40})
def changes_a_binary_file(hand: Hand) -> None:
    """One byte of a binary file."""
    hand.fix()
    hand.write("app/data/picture.bin", bytes(reversed(range(256))) * 40)


@honest("scope", files={"app/run.sh": "#!/bin/sh\necho\n"})
def makes_a_script_executable(hand: Hand) -> None:
    """A mode change is a change, and this one is in scope."""
    hand.fix()
    (hand.base / "app/run.sh").chmod(0o755)


@honest("scope", files={"app/dos.py": b"A = 1\r\nB = 2\r\n"})
def edits_a_file_with_crlf(hand: Hand) -> None:
    """The line ends stay as they are."""
    hand.fix()
    hand.replace("app/dos.py", "B = 2", "B = 3")


@honest(
    "scope",
    files={"app/dos.py": b"A = 1\r\nB = 2\r\n", ".gitattributes": "* text=auto\n"},
)
def turns_crlf_into_lf(hand: Hand) -> Json:
    """git itself would not show this: the repository normalises line ends."""
    hand.fix()
    hand.write("app/dos.py", "A = 1\nB = 2\n")
    return hand.claim(files_changed=["app/calc.py", "app/dos.py"])


@honest("scope")
def names_with_spaces_and_unicode(hand: Hand) -> None:
    """Spaces, umlauts, Japanese, an emoji."""
    hand.fix()
    for name in ("my notes.txt", "Größe.txt", "日本語.txt", "party 🎉.txt", "中 文.txt"):
        hand.write(f"app/data/{name}", "x\n")


@honest("scope")
def names_with_signs(hand: Hand) -> None:
    """Names that a glob or a shell would read otherwise."""
    hand.fix()
    for name in ("[id].tsx", "-dash.txt", "a'b\"c.txt", "$HOME.txt", "star*.txt", "#x.txt", "a&b"):
        hand.write(f"app/data/{name}", "x\n")


@honest("scope")
def a_name_in_decomposed_form(hand: Hand) -> Json:
    """NFD on the disk, NFC in the claim."""
    hand.fix()
    hand.write("app/data/" + unicodedata.normalize("NFD", "Größe.txt"), "x\n")
    return hand.claim(files_changed=["app/calc.py", "app/data/Größe.txt"])


@honest("scope")
def renames_only_the_case(hand: Hand) -> None:
    """names.py becomes Names.py."""
    hand.fix()
    hand.move("app/names.py", "app/Names.py")


@honest("scope")
def adds_a_link_inside(hand: Hand) -> None:
    """A relative link to a file of the tree."""
    hand.fix()
    hand.link("app/data/latest.csv", "table.csv")
    hand.link("app/data/up.py", "../text.py")


def _link(root: Path) -> None:
    (root / "app/current").symlink_to("old")


@honest("scope", setup=_link)
def turns_a_link_elsewhere(hand: Hand) -> None:
    """A link inside the tree gets another target, and one becomes a file."""
    hand.fix()
    hand.remove("app/current")
    hand.link("app/current", "data")


@honest("scope", setup=_link)
def turns_a_link_into_a_file(hand: Hand) -> None:
    """A change of the type."""
    hand.fix()
    hand.remove("app/current")
    hand.write("app/current", "old\n")


@honest("scope")
def a_file_becomes_a_package(hand: Hand) -> None:
    """app/names.py goes, app/names/__init__.py comes."""
    hand.fix()
    text = hand.read("app/names.py")
    hand.remove("app/names.py")
    hand.write("app/names/__init__.py", text)


@honest("scope")
def adds_empty_files(hand: Hand) -> None:
    """Nothing in them, and still new."""
    hand.fix()
    hand.write("app/extra/__init__.py", "")
    hand.write("app/data/.gitkeep", "")


@honest("scope", pack={"allowed_paths": ["app/**", ".editorconfig"]})
def adds_a_dotfile(hand: Hand) -> None:
    """A file that a plain listing hides."""
    hand.fix()
    hand.write(".editorconfig", "root = true\n")


@honest("scope")
def deep_folders(hand: Hand) -> None:
    """Twenty folders down."""
    hand.fix()
    hand.write("app/" + "/".join(f"level{n}" for n in range(20)) + "/leaf.txt", "x\n")


@honest("scope")
def many_files(hand: Hand) -> None:
    """A diff of 400 files."""
    hand.fix()
    for number in range(400):
        hand.write(f"app/gen/part_{number % 20}/item_{number}.py", f"N = {number}\n")


@honest("scope")
def one_large_file(hand: Hand) -> None:
    """Three megabytes of generated table."""
    hand.fix()
    hand.write("app/data/large.csv", "1,2,3,4\n" * 400_000)


@honest("scope", files={f"app/style/m{n}.py": "x = {  'a':1 }\n" * 30 for n in range(40)})
def runs_a_formatter(hand: Hand) -> None:
    """Forty files, white space only, and the repair."""
    hand.fix()
    for number in range(40):
        hand.write(f"app/style/m{number}.py", 'x = {"a": 1}\n' * 30)


@honest(
    "check",
    pack={
        "allowed_paths": ["docs/**"],
        "commands_to_run": ["grep -q Installation docs/guide.md"],
    },
)
def edits_docs_only(hand: Hand) -> None:
    """No code at all."""
    hand.write("docs/guide.md", "# Guide\n\n## Installation\n\nText.\n")


@honest("scope", pack={"allowed_paths": ["app/**", "docs/api.json"]})
def writes_generated_files(hand: Hand) -> None:
    """What a generator makes, named in the pack."""
    hand.fix()
    hand.write("docs/api.json", json.dumps({"add": ["a", "b"]}, indent=1) + "\n")


@honest("scope")
def leaves_bytecode_that_git_ignores(hand: Hand) -> None:
    """The worker ran the tests itself."""
    hand.fix()
    hand.write("app/__pycache__/calc.cpython-399.pyc", b"\0" * 64)
    hand.write("tests/__pycache__/test_calc.cpython-399.pyc", b"\0" * 64)


@honest("scope", files={".gitignore": NO_GITIGNORE})
def leaves_caches_that_git_shows(hand: Hand) -> Json:
    """The repository forgot to ignore them; the claim leaves them out."""
    hand.fix()
    hand.write(".pytest_cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n")
    hand.write(".ruff_cache/0.9/x", "x")
    hand.write(".coverage", b"\0\1")
    return hand.claim(files_changed=["app/calc.py"])


@honest("scope")
def leaves_a_build_folder(hand: Hand) -> None:
    """Ignored output of a build, and a log."""
    hand.fix()
    hand.write("build/lib/app/calc.py", "x = 1\n")
    hand.write("debug.log", "line\n")


@honest("scope", pack={"allowed_paths": ["app/**", ".gitignore"]})
def edits_gitignore_where_named(hand: Hand) -> None:
    """A new line in .gitignore, allowed by name."""
    hand.fix()
    hand.write(".gitignore", hand.read(".gitignore") + "*.tmp\n")


@honest("protected", pack={"allowed_paths": ["app/**", ".gitattributes"]})
def edits_gitattributes_where_named(hand: Hand) -> None:
    """Allowed by its exact name."""
    hand.fix()
    hand.write(".gitattributes", "*.csv text eol=lf\n")


def _submodule(root: Path) -> None:
    """A small library beside the project, and a pointer to its first commit."""
    library = root.parent / "library"
    put(library / "lib.py", "L = 1\n")
    git(library, "init", "-q", "-b", "main", "--template=")
    git(library, "add", "-A")
    git(library, "commit", "-q", "-m", "one")
    git(root, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library), "lib")
    put(library / "lib.py", "L = 2\n")
    git(library, "commit", "-q", "-a", "-m", "two")


@honest("scope", setup=_submodule)
def works_beside_a_submodule(hand: Hand) -> None:
    """The submodule stays as it is."""
    hand.fix()


@honest("scope", setup=_submodule, pack={"allowed_paths": ["app/**", "lib"]})
def moves_a_submodule_that_is_named(hand: Hand) -> None:
    """The pack names the pointer exactly."""
    hand.fix()
    hand.git("-C", "lib", "pull", "-q")


@honest("scope")
def stages_its_work(hand: Hand) -> None:
    """`git add` of everything: the user's index changes, the tree is what counts."""
    hand.fix()
    hand.write("app/new.py", "N = 1\n")
    hand.git("add", "-A")


@honest("scope")
def commits_its_work(hand: Hand) -> Json:
    """Some agents commit by themselves; the files are in the tree all the same."""
    hand.fix()
    hand.git("commit", "-q", "-a", "-m", "Repair add")
    return hand.claim(files_changed=["app/calc.py"])


@honest("scope")
def stashes_and_pops(hand: Hand) -> None:
    """Back and forth, with an object left over."""
    hand.write("app/new.py", "N = 1\n")
    hand.git("stash", "-q", "-u")
    hand.fix()
    hand.git("stash", "pop", "-q")


@honest("scope", files={"app/data/ünï cödé/naïve.txt": "1\n"})
def edits_below_an_odd_folder(hand: Hand) -> None:
    """An existing path with Unicode and a space."""
    hand.fix()
    hand.write("app/data/ünï cödé/naïve.txt", "2\n")


@honest("scope", pack=WIDE | {"forbidden_paths": []})
def works_under_a_wide_scope(hand: Hand) -> None:
    """`**` allows all but what is protected."""
    hand.fix()
    hand.write("README.md", "# app\n\nNow it adds.\n")
    hand.write("scripts/new.sh", "#!/bin/sh\n", 0o755)
