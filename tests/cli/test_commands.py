"""What all commands promise: help with an example, exit codes 0, 1 and 2, data on stdout and talk on stderr, one JSON document with
--json, no colour without a terminal, a completion script that a shell takes.
"""

import json
import os
import pty
import re
import subprocess

import pytest

from node_process import PROGRAM, ROOT, eventually, now_us, number, run, thing, write_site


def subcommands(*path):
    """Names below a command, as its help lists them."""
    text = run(*path, "--help").stdout
    if "Subcommands:" not in text:
        return []
    names = []
    for line in text.split("Subcommands:")[1].splitlines()[1:]:
        found = re.match(r"  (\w+) ", line)
        if not found:
            break
        names.append(found[1])
    return names


def leaves():
    for command in subcommands():
        below = subcommands(command)
        yield from ((command, name) for name in below) if below else ((command,),)


LEAVES = list(leaves())


def test_the_commands_of_the_design_are_there():
    assert {"up", "demo", "plant", "check", "replay", "explain", "model", "learn", "device", "audit", "kpi", "gate", "doctor",
            "completion"} <= {path[0] for path in LEAVES}


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_help_has_a_sentence_options_and_an_example_that_parses(path):
    done = run(*path, "--help")
    assert done.returncode == 0 and done.stderr == ""
    example = re.search(r"Examples?:\s+(?:source <\()?penstock ([^\n)]*)", done.stdout)
    assert example and example[1].split()[:len(path)] == list(path), done.stdout
    # Each word of the example that is an option exists.
    for option in re.findall(r"--[\w-]+", example[1]):
        assert option in done.stdout, f"{option} is in the example and not in the help"


def test_version_and_no_command():
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*\n", run("--version").stdout)
    done = run()
    assert done.returncode == 2 and "--help" in done.stderr and done.stdout == ""


@pytest.mark.parametrize("arguments", [["frobnicate"], ["check"], ["check", "x", "--jsn"], ["learn", "train", "--hours", "-1"],
                                       ["learn", "train", "--plant-seeds", "7"], ["plant", "--speed", "0"], ["completion", "fish"],
                                       ["up", "--http", "127.0.0.1:99999"]], ids=" ".join)
def test_wrong_arguments_end_with_two(arguments):
    done = run(*arguments)
    assert done.returncode == 2 and done.stderr and done.stdout == "", (done.stdout, done.stderr)


@pytest.mark.parametrize("path", [("explain", "A-1001"), ("kpi",), ("gate", "eval", "x"), ("model", "list"), ("audit", "list"),
                                  ("device", "list"), ("doctor",)], ids=lambda path: path[0])
def test_without_a_node_a_command_says_so_and_how_to_start_one(tmp_path, path):
    site = write_site(tmp_path / "site", thing("probe", {"a": number()}))
    done = run(*path, "--site", site)
    assert done.returncode in (1, 2)
    if path[0] != "explain":  # It reads the records itself.
        assert "no node runs" in done.stdout + done.stderr and "penstock up" in done.stdout + done.stderr, (done.stdout, done.stderr)
    as_json = run(*path, "--site", site, "--json")
    assert as_json.returncode == done.returncode
    assert isinstance(json.loads(as_json.stdout), dict)


def test_a_site_that_is_not_there_is_named(tmp_path):
    for path in (("kpi",), ("up",), ("doctor",), ("explain", "A-1")):
        done = run(*path, "--site", tmp_path / "nowhere")
        assert done.returncode == 2 and "nowhere" in done.stderr, (path, done.stderr)


def test_commands_speak_to_the_running_node(tmp_path, nodes):
    node = nodes(write_site(tmp_path / "site", thing("probe", {"a": number()})))
    assert node.write(f"probe a=1 {now_us()}").status == 204
    for path in (("audit", "list"), ("model", "list"), ("device", "list"), ("doctor",)):
        as_json = run(*path, "--site", node.site, "--json")
        assert as_json.returncode in (0, 1), as_json.stderr
        assert isinstance(json.loads(as_json.stdout), dict)
        as_text = run(*path, "--site", node.site)
        assert as_text.returncode == as_json.returncode and as_text.stdout and not as_text.stdout.startswith("{")
    audit = json.loads(run("audit", "list", "--site", node.site, "--json").stdout)["items"]
    assert any(entry["action"].startswith("token") for entry in audit), audit
    doctor = json.loads(run("doctor", "--site", node.site, "--json").stdout)
    assert {check["check"]: check["ok"] for check in doctor["checks"]}["ledger"] is True
    # Not found is an answer, not a failure.
    assert run("explain", "A-4711", "--site", node.site).returncode == 1
    assert run("gate", "eval", "nothing", "--site", node.site).returncode in (1, 2)
    # The token of node.json is for its owner alone.
    assert oct((node.data / "node.json").stat().st_mode & 0o777) == "0o600"
    assert node.stop() == 0
    assert not (node.data / "node.json").exists()


# Colours.
def on_a_terminal(arguments, environment):
    """What the program writes when stdout and stderr are a terminal."""
    main, side = pty.openpty()
    process = subprocess.Popen([PROGRAM, *arguments], stdout=side, stderr=side, stdin=side, env={**os.environ, **environment}, cwd=ROOT)
    os.close(side)
    text = b""
    while True:
        try:
            part = os.read(main, 4096)
        except OSError:  # Linux: the other side is closed.
            break
        if not part:
            break
        text += part
    os.close(main)
    process.wait(30)
    return text


COLOUR = re.compile(rb"\x1b\[[0-9;]*m")


def test_no_colour_without_a_terminal_or_with_no_color(tmp_path):
    site = write_site(tmp_path / "site", thing("probe", {"a": {"type": "nonsense"}}))
    for arguments in (["check", str(site)], ["kpi", "--site", str(site)]):
        done = subprocess.run([PROGRAM, *arguments], capture_output=True, check=False, timeout=30)
        assert not COLOUR.search(done.stdout + done.stderr)
        assert not COLOUR.search(on_a_terminal(arguments, {"NO_COLOR": "1", "TERM": "xterm-256color"}))


# Completion.
@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("completion") / "penstock.bash"
    path.write_text(run("completion", "bash").stdout)
    return path


def complete(script, line):
    """What bash would offer at the end of the line."""
    words = line.split(" ")
    quoted = " ".join(f"'{word}'" for word in words)
    code = (f"source '{script}'; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; COMP_LINE='{line}'; COMP_POINT={len(line)}; "
            'eval "$(complete -p penstock | sed -E \'s/.*-F ([^ ]+).*/\\1/\')"; printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "--norc", "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_completion_script_is_good_bash(script):
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    assert run("completion", "zsh").stdout.startswith("autoload")


def test_it_completes_commands_below_them_and_options(script):
    assert {"check", "completion"} <= complete(script, "penstock c")
    assert complete(script, "penstock gate ") >= {"eval", "sign"}
    assert complete(script, "penstock gate e") == {"eval"}
    assert complete(script, "penstock up --fr") == {"--free-ports"}
    assert complete(script, "penstock learn train --plant") == {"--plant-seeds"}


def test_progress_is_not_written_to_a_pipe(tmp_path):
    done = run("learn", "train", "--plant-seeds", "1..2", "--hours", "1", "--out", tmp_path / "models", timeout=120)
    assert "\r" not in done.stdout + done.stderr


def test_a_stop_signal_ends_up_cleanly(tmp_path, nodes):
    node = nodes(write_site(tmp_path / "site", thing("probe", {"a": number()})))
    assert node.stop() == 0
    node.start()
    node.process.terminate()
    eventually(lambda: not node.running())
    assert node.process.returncode == 0
