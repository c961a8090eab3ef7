"""VGG against the plain network of its paper, the numbering of torchvision, and files that are none."""

import hashlib

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from ganvas.errors import UserError
from ganvas.losses import perceptual
from ganvas.losses.perceptual import VGG, difference

# torchvision's `features`: widths, and M for a pooling.
LAYOUT = {
    "vgg16": [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"],
    "vgg19": [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"],
}


def plain(network):
    """The network as torchvision lays it out."""
    layers, inputs = [], 3
    for width in LAYOUT[network]:
        if width == "M":
            layers.append(nn.MaxPool2d(2, 2))
        else:
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
            inputs = width
    return nn.Sequential(*layers)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """The same random weights as a state dict, with a classifier, and as safetensors in half precision."""
    torch.manual_seed(0)
    network = plain("vgg16")
    state = {f"features.{name}": value for name, value in network.state_dict().items()}
    folder = tmp_path_factory.mktemp("weights")
    torch.save(state | {"classifier.0.weight": torch.zeros(2, 2)}, folder / "vgg16.pth")
    half = {name: value.half() for name, value in state.items()}
    save_file(half, folder / "vgg16.safetensors")
    save_file(half, folder / "caffe.safetensors", metadata={"preprocessing": "RGB uint8 -> BGR float, minus mean"})
    return network.requires_grad_(False), folder


@pytest.mark.parametrize(
    ("network", "layer", "index"),
    [("vgg19", (2, 2), 7), ("vgg19", (5, 4), 34), ("vgg16", (2, 2), 7), ("vgg16", (5, 3), 28), ("vgg19", (1, 1), 0)],
)
def test_layers_are_where_torchvision_has_them(network, layer, index):
    """SPECS: relu2_2 is index 8 and relu5_4 index 35, their convolutions the ones before."""
    with torch.device("meta"):
        vgg = VGG(network)
    assert vgg.place(layer) == index and isinstance(vgg.features[index], nn.Conv2d)
    with torch.device("meta"):
        expected = plain(network)
    ours, theirs = ({k: v.shape for k, v in m.state_dict().items()} for m in (vgg.features, expected))
    assert ours == theirs


@pytest.mark.parametrize("after", [True, False])
def test_features_are_those_of_the_plain_network(weights, after):
    network, folder = weights
    vgg = VGG.load("vgg16", folder / "vgg16.pth")
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = ((images + 1) / 2 - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)
    first, second = vgg(images, [(5, 3), (2, 2)], after_activation=after)
    torch.testing.assert_close(first, network[: 30 if after else 29](x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(second, network[: 9 if after else 8](x), rtol=1e-4, atol=1e-5)


def test_caffes_weights_see_blue_first_in_0_to_255(weights):
    network, folder = weights
    images = torch.rand(1, 3, 16, 16) * 2 - 1
    bytes_bgr = ((images + 1) * 127.5).flip(1)
    expected = network[:2](bytes_bgr - torch.tensor([103.939, 116.779, 123.68]).view(3, 1, 1))
    (found,) = VGG.load("vgg16", folder / "caffe.safetensors")(images, [(1, 1)])
    torch.testing.assert_close(found, expected, rtol=5e-3, atol=0.05)  # weights in half precision
    (told,) = VGG.load("vgg16", folder / "vgg16.safetensors", "caffe")(images, [(1, 1)])
    torch.testing.assert_close(found, told)


def test_it_stays_frozen_and_in_eval_mode_but_lets_gradients_through(weights):
    vgg = VGG.load("vgg16", weights[1] / "vgg16.pth").train()
    assert not vgg.training and not any(p.requires_grad for p in vgg.parameters())
    images = torch.rand(1, 3, 16, 16, requires_grad=True)
    vgg(images, [(2, 2)])[0].sum().backward()
    assert images.grad is not None and images.grad.abs().sum() > 0


def test_bf16_is_near_and_the_difference_is_taken_in_float32(weights):
    vgg = VGG.load("vgg16", weights[1] / "vgg16.pth")
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    (exact,) = vgg(images, [(2, 2)])
    with torch.autocast("cpu", torch.bfloat16):
        (near,) = vgg(images, [(2, 2)])
    assert near.dtype == torch.bfloat16
    torch.testing.assert_close(near.float(), exact, rtol=0.05, atol=0.02)
    assert difference(near, near).dtype == torch.float32


def test_the_difference_sums_channels_and_averages_the_rest():
    """Eq. 5 of SRGAN: squares over W H, not over channels; against its double sum."""
    a, b = torch.randn(2, 5, 3, 4, dtype=torch.float64), torch.randn(2, 5, 3, 4, dtype=torch.float64)
    expected = sum(((a[n] - b[n]) ** 2).sum() / (3 * 4) for n in range(2)) / 2
    torch.testing.assert_close(difference(a, b), expected)
    torch.testing.assert_close(difference(a, b), 5 * F.mse_loss(a, b))


def test_what_is_no_file_of_weights_is_refused_in_one_line(weights, tmp_path):
    with pytest.raises(UserError, match="there is no file"):
        VGG.load("vgg16", tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("not weights")
    with pytest.raises(UserError, match="neither a safetensors file nor a PyTorch state dict"):
        VGG.load("vgg16", tmp_path / "text.pt")
    with pytest.raises(UserError, match=r"does not hold the convolutions of vgg19: features\.16"):
        VGG.load("vgg19", weights[1] / "vgg16.pth")
    torch.save(VGG("vgg19").state_dict(), tmp_path / "19.pt")
    with pytest.raises(UserError, match="convolutions of vgg16"):
        VGG.load("vgg16", tmp_path / "19.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(UserError, match="no state dict"):
        VGG.load("vgg16", tmp_path / "list.pt")
    with pytest.raises(UserError, match=r"no convolution 5\.4: there are 1\.1 to 1\.2"):
        VGG("vgg16")(torch.zeros(1, 3, 16, 16), [(5, 4)])


class Evil:
    def __reduce__(self):
        return print, ("run",)


def test_a_file_that_would_run_code_is_refused(tmp_path, capsys):
    torch.save({"features.0.weight": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(UserError):
        VGG.load("vgg16", tmp_path / "evil.pt")
    assert "run" not in capsys.readouterr().out


def test_weights_are_downloaded_once_and_their_hash_is_compared(weights, tmp_path, monkeypatch):
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path / "cache"))
    data = (weights[1] / "vgg16.pth").read_bytes()
    name = f"vgg16-{hashlib.sha256(data).hexdigest()[:8]}.pth"
    place = tmp_path / "site"
    place.mkdir()
    (place / name).write_bytes(data)
    monkeypatch.setattr(perceptual, "PLACE", place.as_uri() + "/")
    monkeypatch.setitem(perceptual.FILES, "vgg16", name)
    first = VGG.load("vgg16")
    (place / name).unlink()
    again = VGG.load("vgg16")
    assert torch.equal(first.features[0].weight, again.features[0].weight)
    monkeypatch.setitem(perceptual.FILES, "vgg16", "vgg16-00000000.pth")
    with pytest.raises(UserError, match=r"could not be downloaded .* --vgg-weights"):
        VGG.load("vgg16")
    (place / "vgg16-00000000.pth").write_bytes(data)
    with pytest.raises(UserError, match="could not be downloaded"):  # another hash
        VGG.load("vgg16")
    assert not (tmp_path / "cache" / "weights" / "vgg16-00000000.pth").exists()
