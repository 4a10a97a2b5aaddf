"""Does a file give back what was saved, tied as it was, and run no code?"""

from __future__ import annotations

import json
import math
import pickle
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import zoo
from zoo.building import storing
from zoo.errors import BadTensorFile, InitError, Misfit, OptionError, OutputError, StoreError
from zoo.models.lenet_bn import lenet_bn
from zoo.models.mlp_lazy import mlp_lazy
from zoo.models.mlp_tied import mlp_tied

if TYPE_CHECKING:
    from collections.abc import Callable

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
INTS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool)
COMPLEX = (torch.complex64, torch.complex128)
SMALL_FLOATS = (torch.float8_e4m3fn, torch.float8_e5m2)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kept.safetensors"


def bits(tensor: Tensor) -> bytes:
    """A tensor's bytes, in the order of its elements."""
    if not tensor.numel():
        return b""
    dense = tensor.detach().resolve_conj().resolve_neg().contiguous()
    return bytes(dense.reshape(-1).view(torch.uint8).tolist())


def alike(one: Any, other: Any) -> bool:
    """Whether two nests have the same types, keys in the same order, and the same bytes."""
    if isinstance(one, Tensor):
        return (
            isinstance(other, Tensor)
            and (one.dtype, one.shape) == (other.dtype, other.shape)
            and bits(one) == bits(other)
        )
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        keys = zip(one, other, strict=False)
        return len(one) == len(other) and all(
            alike(key, twin) and alike(one[key], other[twin]) for key, twin in keys
        )
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, float) and math.isnan(one):
        return bool(math.isnan(other))
    return bool(one == other) and str(one) == str(other)


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    """Of any dtype that is kept, 0 to 3 dims, also empty, and in any layout."""
    dtype = draw(st.sampled_from([*FLOATS, *INTS, *COMPLEX, *SMALL_FLOATS]))
    shape = draw(st.lists(st.integers(0, 4), max_size=3))
    seed = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    numbers = torch.randn(shape, generator=seed, dtype=torch.float64) * 100
    whole = numbers.abs().clamp(max=120) if dtype in INTS else numbers
    made = whole.to(dtype)
    kind = draw(st.sampled_from(["as it is", "transposed", "strided", "expanded", "conjugate"]))
    if kind == "transposed" and made.dim() > 1:
        return made.transpose(0, -1)
    if kind == "strided" and made.dim() and dtype not in SMALL_FLOATS:
        return torch.cat([made, made], dim=-1)[..., ::2]
    if kind == "expanded":
        return made.unsqueeze(0).expand(3, *made.shape)
    if kind == "conjugate" and made.is_complex():
        return (made + 1j).conj()
    return made


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
NESTS = st.recursive(
    SCALARS | tensors(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(SCALARS.filter(lambda key: key == key), inner, max_size=3)  # noqa: PLR0124
    ),
    max_leaves=8,
)
IN_ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(NESTS)
@IN_ONE_FOLDER
def test_what_is_loaded_is_what_was_saved(file: Path, what: Any) -> None:
    zoo.save(what, file)
    assert alike(zoo.load(file), what)


@given(NESTS)
@IN_ONE_FOLDER
def test_the_same_thing_makes_the_same_file(file: Path, what: Any) -> None:
    zoo.save(what, file)
    first = file.read_bytes()
    zoo.save(zoo.load(file), file)
    assert alike(zoo.load(file), what)
    zoo.save(what, file)
    assert file.read_bytes() == first


def test_the_book_s_tensors_lists_and_dicts(file: Path) -> None:
    x, y = torch.arange(4), torch.zeros(4)
    for what in (x, [x, y], {"x": x, "y": y}):
        zoo.save(what, file)
        assert alike(zoo.load(file), what)


def test_subclasses_come_back_plain(file: Path) -> None:
    zoo.save({"state": nn.Linear(2, 3).state_dict(), "shape": torch.Size([2, 3])}, file)
    found = zoo.load(file)
    assert (type(found["state"]), type(found["shape"])) == (dict, tuple)
    parameter = nn.Parameter(torch.ones(2))
    zoo.save(parameter, file)
    assert type(zoo.load(file)) is Tensor
    assert not zoo.load(file).requires_grad


# memory that is shared

VIEWS: list[Callable[[Tensor], Tensor]] = [
    lambda x: x,
    lambda x: x.t(),
    lambda x: x[1],
    lambda x: x[2:4],
    lambda x: x[:, 1],
    lambda x: x[::2, ::3],
    lambda x: x.view(-1)[5:20],
    lambda x: x[4, 4],
    lambda x: x[1].expand(3, 6),
    lambda x: x.flatten()[::7],
]


@given(
    st.lists(st.sampled_from(VIEWS), min_size=1, max_size=5),
    st.sampled_from([torch.float32, torch.int16, torch.complex64]),
    st.data(),
)
@IN_ONE_FOLDER
def test_what_shares_memory_shares_it_again(
    file: Path, made: list[Callable[[Tensor], Tensor]], dtype: torch.dtype, data: st.DataObject
) -> None:
    """A number written into one tensor shows in the others where it did before."""
    base = torch.arange(36).view(6, 6).to(dtype)
    before = [view(base) for view in made]
    zoo.save(before, file)
    after = zoo.load(file)
    assert alike(after, before)
    number = data.draw(st.integers(0, len(before) - 1))
    place = tuple(data.draw(st.integers(0, dim - 1)) for dim in before[number].shape)
    before[number][place] = after[number][place] = 99
    assert alike(after, before)


def test_tensors_side_by_side_are_not_tied(file: Path) -> None:
    x = torch.zeros(1000, 1000)
    zoo.save([x[0], x[999]], file)
    assert file.stat().st_size < 10_000
    first, last = zoo.load(file)
    first += 1
    assert last.sum() == 0


def test_an_expanded_tensor_is_stored_once(file: Path) -> None:
    zoo.save(torch.ones(3, 1).expand(3, 10**9), file)
    assert file.stat().st_size < 1000
    found = zoo.load(file)
    assert (found.shape, found.stride(), found[1, 5]) == ((3, 10**9), (1, 0), 1)


def test_a_tied_parameter_is_stored_once_and_tied_again(file: Path) -> None:
    model = mlp_tied(hidden=300)
    model(torch.zeros(1, 4))
    zoo.save(model, file)
    assert 4 * 300 * 300 < file.stat().st_size < 1.1 * 4 * 300 * 300
    state = zoo.load(file)
    assert state["2.weight"] is state["4.weight"]
    assert list(state) == list(model.state_dict())


def test_one_object_is_one_object_again_also_where_it_is_empty(file: Path) -> None:
    empty, conjugate = torch.empty(0), torch.ones(2, dtype=torch.complex64).conj()
    zoo.save([empty, empty, conjugate, conjugate], file)
    found = zoo.load(file)
    assert found[0] is found[1]
    assert found[2] is found[3]


# other people's files


def test_other_tools_read_a_state_by_its_names(file: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    zoo.save(model, file)
    found = safetensors.torch.load_file(file)
    assert alike(dict(sorted(found.items())), dict(sorted(model.state_dict().items())))


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"zoo": "keeper"}, {"zoo": "[1]"}])
def test_safetensors_of_others_are_tensors_by_name(
    file: Path, metadata: dict[str, str] | None
) -> None:
    written = {"b": torch.ones(2), "a.0": torch.zeros(3, dtype=torch.bfloat16)}
    safetensors.torch.save_file(written, file, metadata)
    found = zoo.load(file)
    assert alike(dict(sorted(found.items())), dict(sorted(written.items())))


@pytest.mark.parametrize("cut", ["", "]]}"])
def test_a_structure_that_cannot_be_read_is_not_left_out(file: Path, cut: str) -> None:
    said = json.dumps({"schema": "zoo.tensors/1", "tree": []})[:-1] + cut
    safetensors.torch.save_file({"a": torch.ones(2)}, file, {"zoo": said})
    with pytest.raises(BadTensorFile, match="its structure is damaged"):
        zoo.load(file)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("ending", [".pt", ".pth"])
def test_tensors_of_torch_save_are_read(tmp_path: Path, ending: str, *, zipped: bool) -> None:
    what = {"x": torch.arange(3), "l": [torch.ones(2), 1.5, None, "a"], "t": (1, True)}
    torch.save(what, tmp_path / f"a{ending}", _use_new_zipfile_serialization=zipped)
    assert alike(zoo.load(tmp_path / f"a{ending}"), what)


class Touches:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle", "protocol 2"])
@pytest.mark.parametrize("ending", [".pt", ".pth", ".safetensors"])
def test_a_pickle_that_would_run_code_does_not(tmp_path: Path, form: str, ending: str) -> None:
    path, ran = tmp_path / f"evil{ending}", tmp_path / "ran"
    what = {"weight": torch.ones(2), "more": Touches(ran)}
    if form in ("zip", "legacy"):
        torch.save(what, path, _use_new_zipfile_serialization=form == "zip")
    else:
        path.write_bytes(pickle.dumps(Touches(ran), 2 if form == "protocol 2" else 4))
    with pytest.raises(BadTensorFile) as caught:
        zoo.load(path)
    assert not ran.exists()
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"cannot load {path}: it ")
    if form in ("zip", "legacy"):  # the same file would have run its code
        torch.load(path.rename(tmp_path / "evil.bin"), weights_only=False)
    else:
        pickle.loads(path.read_bytes())
    assert ran.exists()


def test_a_pickled_module_is_refused_by_its_class(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "a.pt")
    with pytest.raises(BadTensorFile, match=r"more than tensors \(torch\.nn.*Linear\).*state_dict"):
        zoo.load(tmp_path / "a.pt")


# files that cannot be read


@pytest.mark.parametrize("ending", [".safetensors", ".pt"])
@pytest.mark.parametrize("part", [0.0, 0.3, 0.99])
def test_files_that_are_cut_off(tmp_path: Path, ending: str, part: float) -> None:
    path = tmp_path / f"a{ending}"
    what = {"x": torch.ones(100)}
    torch.save(what, path) if ending == ".pt" else zoo.save(what, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(BadTensorFile, match=r"damaged.*Make it again\."):
        zoo.load(path)


@given(st.binary(max_size=200))
@IN_ONE_FOLDER
def test_any_bytes_give_one_line(tmp_path: Path, data: bytes) -> None:
    for ending in (".safetensors", ".pt"):
        path = tmp_path / f"any{ending}"
        path.write_bytes(data)
        with pytest.raises(BadTensorFile, match="cannot load"):
            zoo.load(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.safetensors", "there is no such file. Name one that zoo.save wrote"),
        ("folder.safetensors", "it is no file"),
        ("x" * 300 + ".pt", "File name too long. Name a file that you can read"),
        ("mlp.params", r"its name says nothing.*\.safetensors, \.pt and \.pth"),
    ],
)
def test_what_is_no_file_of_tensors(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "mlp.params").write_bytes(b"")
    with pytest.raises(BadTensorFile, match=message):
        zoo.load(tmp_path / name)


def rewritten(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what a file says of its structure."""
    data = file.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    form = json.loads(header["__metadata__"]["zoo"])
    change(form)
    header["__metadata__"]["zoo"] = json.dumps(form)
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda form: None, None),
        (lambda form: form.update(schema="zoo.tensors/2"), r"another version.*zoo\.tensors/2"),
        (lambda form: form.update(tree={"tensor": "y"}), "structure is damaged"),
        (lambda form: form.update(tree={"code": "1"}), "nothing is called code"),
        (lambda form: form.update(tree={"dict": [1]}), "structure is damaged"),
        (lambda form: form.pop("views"), "structure is damaged"),
        (lambda form: form["views"].update({"0": ["0", [7], [1], 0]}), "0 is no part of 0"),
        (lambda form: form["views"].update({"0": ["0", [3], [1], -1]}), "0 is no part of 0"),
        (lambda form: form["views"].update({"0": ["0", [3], [-1], 3]}), "0 is no part of 0"),
        (lambda form: form["views"].update({"0": ["0", ["a"], [1], 0]}), "structure is damaged"),
        (lambda form: form.update(same={"9": "8"}), "structure is damaged"),
        (lambda form: form.update(complex=["0"]), "structure is damaged"),
        (lambda form: form.update(same=[]), "structure is damaged"),
        (lambda form: form.update(views=None), "structure is damaged"),
        (lambda form: form.update(tree={"float": 10**400}), "structure is damaged"),
    ],
)
def test_structures_that_are_none(
    file: Path, change: Callable[[dict[str, Any]], object], message: str | None
) -> None:
    x = torch.arange(6)
    zoo.save([x, x[1:3]], file)
    rewritten(file, change)
    if message is None:
        assert alike(zoo.load(file), [x, x[1:3]])
        return
    with pytest.raises(BadTensorFile, match=message):
        zoo.load(file)


# what is not saved

CYCLE: list[Any] = []
CYCLE.append({"again": CYCLE})
DEEP: list[Any] = []
for _ in range(5000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ({1, 2}, "cannot save this: its type is set. Save tensors, numbers"),
        ({"a": [1, {"b": object()}]}, r"the part 'a\.1\.b': its type is object"),
        ({(1, 2): 3}, "it has a key of type tuple. Use strings as keys"),
        (1 + 2j, "its type is complex"),
        (CYCLE, r"the part '0\.again': it contains itself"),
        (DEEP, "it is nested too deeply"),
        ([10**5000], "an integer of more digits"),
        (torch.eye(2).to_sparse(), r"it is sparse. Save tensor\.to_dense\(\)"),
        (torch.empty(2, device="meta"), "meta device and has no data"),
        ([torch.empty(2, dtype=torch.bits8)], r"safetensors has no torch\.bits8"),
        (nn.Sequential(nn.LazyLinear(3)), r"'0\.weight': it is lazy.*apply_init"),
    ],
)
def test_what_no_file_holds(file: Path, what: Any, message: str) -> None:
    zoo.save("before", file)
    with pytest.raises(StoreError, match=message):
        zoo.save(what, file)
    assert zoo.load(file) == "before"
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_structure_that_could_not_be_read_again_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "LONGEST_HEADER", 1000)
    zoo.save(list(range(50)), file)
    with pytest.raises(StoreError, match="Make a tensor of long lists of numbers"):
        zoo.save(list(range(5000)), file)
    assert zoo.load(file) == list(range(50))


def test_names_and_folders_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"End it in \.safetensors"):
        zoo.save(1, tmp_path / "a.pt")
    with pytest.raises(OutputError, match="there is no folder"):
        zoo.save(1, tmp_path / "none" / "a.safetensors")
    (tmp_path / "b.safetensors").mkdir()
    with pytest.raises(OutputError, match="it is a folder"):
        zoo.save(1, tmp_path / "b.safetensors")


# memory


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_a_file_is_read_when_it_is_used(file: Path) -> None:
    size = 64_000_000
    zoo.save({"x": torch.ones(size // 4)}, file)
    before = resident()
    x = zoo.load(file)["x"]
    assert resident() - before < size / 8
    assert x.sum() == size // 4
    assert resident() - before > size / 2


def test_what_is_loaded_is_its_own(file: Path) -> None:
    """Neither writing into it nor writing the file again changes the other."""
    zoo.save(torch.zeros(1000), file)
    first = zoo.load(file)
    first += 1
    assert zoo.load(file).sum() == 0
    zoo.save(first * 2, file)
    assert (first.sum(), zoo.load(file).sum()) == (1000, 2000)
    zoo.save(zoo.load(file), file)
    assert zoo.load(file).sum() == 2000


def test_devices(file: Path) -> None:
    x = torch.ones(2, 3)
    zoo.save([x, x.t()], file)
    found = zoo.load(file, device="meta")
    assert [(one.device.type, one.shape) for one in found] == [("meta", (2, 3)), ("meta", (3, 2))]
    for name in ("cuda:99", "gpu"):
        with pytest.raises(OptionError, match=rf"device {name}: .* zoo\.try_gpu\(\) falls back"):
            zoo.load(file, device=name)


@pytest.mark.gpu
@pytest.mark.skipif(zoo.num_gpus() == 0, reason="needs an accelerator")
def test_tensors_of_a_device_go_to_a_file_and_back(file: Path) -> None:
    x = torch.arange(6.0, device=zoo.try_gpu())
    zoo.save([x, x[2:]], file)
    first, part = zoo.load(file, device=zoo.try_gpu())
    assert first.device == x.device
    part += 1
    assert torch.equal(first.cpu()[2:], x.cpu()[2:] + 1)


# into a model


def normed() -> nn.Module:
    """A network with statistics that a run has changed."""
    model = lenet_bn()
    model(torch.rand(8, 1, 28, 28))
    return model


@pytest.mark.parametrize(
    ("make", "inputs"),
    [
        (normed, (2, 1, 28, 28)),
        (lambda: zoo.create("mlp_tied"), (2, 4)),
        (lambda: zoo.create("mlp_custom"), (2, 64)),
        (lambda: nn.GRU(4, 5, num_layers=2, bidirectional=True), (3, 2, 4)),
    ],
)
def test_a_clone_gives_the_same_output(
    file: Path, make: Callable[[], nn.Module], inputs: tuple[int, ...]
) -> None:
    """Book, 6.6.2."""
    x = torch.rand(inputs)
    model, clone = make().eval(), make().eval()
    wanted, other = model(x), clone(x)
    first = wanted[0] if isinstance(wanted, tuple) else wanted
    assert not torch.equal(first, other[0] if isinstance(other, tuple) else other)
    zoo.save(model, file)
    assert zoo.load_into(clone, file) == ((), (), ())
    found = clone(x)
    assert torch.equal(found[0] if isinstance(found, tuple) else found, first)


def test_a_lazy_model_that_never_ran_is_filled(file: Path) -> None:
    x = torch.rand(2, 20)
    model, clone = mlp_lazy(), mlp_lazy()
    wanted = model(x)
    zoo.save(model, file)
    zoo.load_into(clone, file)
    assert torch.equal(clone(x), wanted)


def pair() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def test_what_does_not_fit_is_named_and_nothing_is_changed(file: Path) -> None:
    zoo.save({**pair().state_dict(), "0.bias": torch.ones(5), "2.weight": torch.ones(1)}, file)
    saved = zoo.load(file)
    del saved["1.weight"]
    saved["1.num_batches_tracked"] = torch.tensor(1.5)
    zoo.save(saved, file)
    model = pair()
    before = {name: one.clone() for name, one in model.state_dict().items()}
    with pytest.raises(Misfit) as caught:
        zoo.load_into(model, file)
    assert str(caught.value) == (
        f"{file} does not fit the model: it lacks 1.weight; the model has no 2.weight; "
        "wrong are 0.bias (5 for 4), 1.num_batches_tracked (float32 for int64). "
        "With strict=False what fits is loaded."
    )
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())
    left = zoo.load_into(model, file, strict=False)
    assert left.missing == ("1.weight",)
    assert left.unexpected == ("2.weight",)
    assert left.wrong == ("0.bias", "1.num_batches_tracked")
    assert torch.equal(model.get_parameter("0.weight"), saved["0.weight"])
    assert torch.equal(model.get_parameter("0.bias"), before["0.bias"])


def test_one_name_of_a_tied_parameter_is_enough(file: Path) -> None:
    model, clone = zoo.create("mlp_tied"), zoo.create("mlp_tied")
    state = {name: one for name, one in model.state_dict().items() if not name.startswith("4.")}
    safetensors.torch.save_file(state, file)
    zoo.load_into(clone, file)
    assert torch.equal(clone.get_parameter("4.weight"), model.get_parameter("2.weight"))
    del state["2.bias"]
    safetensors.torch.save_file(state, file)
    with pytest.raises(Misfit, match=r"it lacks 2\.bias, 4\.bias\."):
        zoo.load_into(clone, file)


def test_floats_are_cast_to_the_model_s(file: Path) -> None:
    zoo.save(pair().double(), file)
    model = pair().half()
    zoo.load_into(model, file)
    assert model.get_parameter("0.weight").dtype == torch.float16
    assert torch.equal(model.get_parameter("0.weight"), zoo.load(file)["0.weight"].half())


def test_files_and_models_that_do_not_go_together(file: Path) -> None:
    zoo.save([torch.ones(2)], file)
    with pytest.raises(BadTensorFile, match=r"it holds a list, and no tensors by name.*zoo\.load"):
        zoo.load_into(pair(), file)
    zoo.save({"0.weight": "a"}, file)
    with pytest.raises(Misfit, match=r"wrong are 0\.weight \(a str, and no tensor\)"):
        zoo.load_into(pair(), file)
    zoo.save(pair(), file)
    with torch.device("meta"):
        blank = pair()
    with pytest.raises(InitError, match=r"no memory to load into.*to_empty"):
        zoo.load_into(blank, file)


def test_training_goes_on_from_a_file_as_if_it_had_not_stopped(file: Path) -> None:
    def training() -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(1)
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        return model, torch.optim.Adam(model.parameters(), lr=0.01)

    def steps(model: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
        torch.manual_seed(seed)
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.rand(16, 4)).square().mean().backward()
            optimizer.step()

    model, optimizer = training()
    steps(model, optimizer, 2)
    zoo.save({"model": model, "optimizer": optimizer.state_dict(), "epoch": 3}, file)
    steps(model, optimizer, 3)
    again, other = training()
    found = zoo.load(file)
    again.load_state_dict(found["model"])
    other.load_state_dict(found["optimizer"])
    steps(again, other, 3)
    assert found["epoch"] == 3
    assert all(map(torch.equal, model.parameters(), again.parameters()))
