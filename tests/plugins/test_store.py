"""States kept between runs are found only by the frame and the inputs they were made from."""

import torch

from sfumato_plugins.store import FolderStore


def test_what_is_put_is_got_and_removed_with_the_folder(tmp_path):
    store = FolderStore(str(tmp_path / ".M.sfumato" / "states"), lambda frame: f"f{frame}")
    assert store.get("key-1001") is None
    tensors = {"alpha": torch.rand(1, 4, 5), "step": torch.tensor(7)}
    store.put("key-1001", tensors)
    back = store.get("key-1001")
    assert back.keys() == tensors.keys()
    assert all(torch.equal(back[name], tensors[name]) for name in tensors)
    store.remove()
    assert store.get("key-1001") is None


def test_a_state_made_from_other_inputs_is_not_found(tmp_path):
    FolderStore(str(tmp_path), lambda frame: "before").put("key-1", {"x": torch.zeros(1)})
    assert FolderStore(str(tmp_path), lambda frame: "after").get("key-1") is None


def test_the_frame_is_the_number_a_name_ends_with(tmp_path):
    asked = []
    store = FolderStore(str(tmp_path), lambda frame: asked.append(frame) or "x")
    for name in ("key-1001", "flight.1002", "key--3", "level2/7"):
        store.put(name, {"x": torch.zeros(1)})
    assert asked == [1001, 1002, -3, 7]


def test_a_damaged_state_is_as_good_as_none(tmp_path):
    store = FolderStore(str(tmp_path), lambda frame: "x")
    store.put("key-1", {"x": torch.zeros(1)})
    next(tmp_path.glob("*.safetensors")).write_bytes(b"cut off")
    assert store.get("key-1") is None


def test_views_with_noncontiguous_tensors_are_kept_too(tmp_path):
    store = FolderStore(str(tmp_path), lambda frame: "x")
    store.put("key-1", {"x": torch.arange(6.0).view(2, 3).T})
    assert torch.equal(store.get("key-1")["x"], torch.arange(6.0).view(2, 3).T)
