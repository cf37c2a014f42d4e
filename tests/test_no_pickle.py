"""Nothing in the product unpickles, evaluates or runs what it was given."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted(
    file for folder in ("ppgssl", "api", "worker") for file in (ROOT / folder).rglob("*.py")
)
FORBIDDEN = {
    *("pickle.load", "pickle.loads", "pickle.Unpickler", "dill.load", "joblib.load", "shelve.open"),
    *("marshal.load", "marshal.loads", "yaml.load", "yaml.unsafe_load", "yaml.full_load"),
    *("eval", "exec", "os.system", "os.popen", "pandas.read_pickle", "pd.read_pickle"),
}
ONLY_WITH = {"torch.load": "weights_only=True", "np.load": "allow_pickle=False"}
NEVER_WITH = {"allow_pickle=True", "weights_only=False", "shell=True"}


def dangers(call: ast.Call) -> list[str]:
    """What is wrong with a call, in words of the code."""
    name = ast.unparse(call.func)
    keywords = {ast.unparse(keyword) for keyword in call.keywords}
    missing = {ONLY_WITH[name]} - keywords if name in ONLY_WITH else set[str]()
    return [
        *([name] if name in FORBIDDEN else []),
        *(f"{name} without {keyword}" for keyword in missing),
        *(f"{name} with {keyword}" for keyword in keywords & NEVER_WITH),
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_nothing_that_was_given_is_run(file: Path):
    tree = ast.parse(file.read_text(encoding="utf-8"))

    found = [
        danger for node in ast.walk(tree) if isinstance(node, ast.Call) for danger in dangers(node)
    ]

    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        *("pickle.loads(body)", "yaml.load(text)", "eval(text)", "torch.load(path)"),
        *("torch.load(path, weights_only=False)", "np.load(path)", "run(line, shell=True)"),
    ],
)
def test_what_would_run_it_is_found(code: str):
    call = ast.parse(code, mode="eval").body
    assert isinstance(call, ast.Call)

    assert dangers(call) != []
