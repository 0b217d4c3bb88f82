"""The FCN authors' nets, layer for layer, from the tables of what they publish."""

from google.protobuf import text_format

from fcnkit.formats.schema import message

VGG = [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]
RATES = "param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 } "
FIXED = "param { lr_mult: 0 } "


def net(text):
    return text_format.Parse(text, message("NetParameter")())


def layer(name, kind, bottoms, body="", top=None):
    wires = "".join(f'bottom: "{bottom}" ' for bottom in bottoms.split())
    return f'layer {{ name: "{name}" type: "{kind}" {wires}top: "{top or name}" {body} }}\n'


def conv(name, bottom, param, rates=RATES):
    return layer(name, "Convolution", bottom, f"{rates}convolution_param {{ {param} }}")


def relu(name, blob):
    return layer(name, "ReLU", blob, top=blob)


def pool(name, bottom, kernel):
    return layer(
        name, "Pooling", bottom, f"pooling_param {{ pool: MAX kernel_size: {kernel} stride: 2 }}"
    )


def drop(name, blob):
    return layer(name, "Dropout", blob, "dropout_param { dropout_ratio: 0.5 }", top=blob)


def score(name, bottom, classes):
    return conv(name, bottom, f"num_output: {classes} pad: 0 kernel_size: 1")


def up(name, bottom, classes, kernel, stride):
    param = f"num_output: {classes} bias_term: false kernel_size: {kernel} stride: {stride}"
    return layer(name, "Deconvolution", bottom, f"{FIXED}convolution_param {{ {param} }}")


def crop(name, bottoms, offset):
    return layer(name, "Crop", bottoms, f"crop_param {{ axis: 2 offset: {offset} }}")


def fuse(name, bottoms):
    return layer(name, "Eltwise", bottoms, "eltwise_param { operation: SUM }")


def scale(name, bottom, factor):
    return layer(
        name,
        "Scale",
        bottom,
        f'{FIXED}scale_param {{ filler {{ type: "constant" value: {factor} }} }}',
    )


def loss(name, bottoms, normalize="false"):
    return layer(
        name,
        "SoftmaxWithLoss",
        bottoms,
        f"loss_param {{ ignore_label: 255 normalize: {normalize} }}",
    )


def vgg_trunk(dropout=True, bottom="data", suffix="", first="conv1_1"):
    """The layers up to fc7, their names with a suffix; the first may have a name of its own."""
    text, convs = "", {"conv1_1": first}
    for block, (channels, depth) in enumerate(VGG, 1):
        for number in range(1, depth + 1):
            name = f"conv{block}_{number}"
            pad = 100 if name == "conv1_1" else 1
            name = f"{convs.get(name, name)}{suffix}"
            text += conv(
                name, bottom, f"num_output: {channels} pad: {pad} kernel_size: 3 stride: 1"
            )
            text += relu(f"relu{block}_{number}{suffix}", name)
            bottom = name
        text += pool(f"pool{block}{suffix}", bottom, 2)
        bottom = f"pool{block}{suffix}"
    for number, kernel in ((6, 7), (7, 1)):
        name = f"fc{number}{suffix}"
        text += conv(name, bottom, f"num_output: 4096 pad: 0 kernel_size: {kernel} stride: 1")
        text += relu(f"relu{number}{suffix}", name)
        text += drop(f"drop{number}{suffix}", name) if dropout else ""
        bottom = name
    return text


def caffenet_trunk():
    text, bottom = "", "data"
    table = [
        ("conv1", 96, 100, 11, 1, 4, True, True),
        ("conv2", 256, 2, 5, 2, 1, True, True),
        ("conv3", 384, 1, 3, 1, 1, False, False),
        ("conv4", 384, 1, 3, 2, 1, False, False),
        ("conv5", 256, 1, 3, 2, 1, True, False),
    ]
    for name, channels, pad, kernel, group, stride, pooled, normed in table:
        param = (
            f"num_output: {channels} pad: {pad} kernel_size: {kernel} group: {group} stride: "
            f"{stride}"
        )
        text += conv(name, bottom, param, "") + relu(f"relu{name[-1]}", name)
        bottom = name
        if pooled:
            text += pool(f"pool{name[-1]}", bottom, 3)
            bottom = f"pool{name[-1]}"
        if normed:
            text += layer(
                f"norm{name[-1]}",
                "LRN",
                bottom,
                "lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }",
            )
            bottom = f"norm{name[-1]}"
    for number, kernel, bottom in ((6, 6, "pool5"), (7, 1, "fc6")):
        param = f"num_output: 4096 pad: 0 kernel_size: {kernel} group: 1 stride: 1"
        text += conv(f"fc{number}", bottom, param, "") + relu(f"relu{number}", f"fc{number}")
        text += drop(f"drop{number}", f"fc{number}")
    return text


def head(stride, classes, suffix="", factors=(None, None)):
    """The layers from score_fr to the last crop."""
    text = score(f"score_fr{suffix}", "fc7", classes)
    if stride == 32:
        text += up(f"upscore{suffix}", f"score_fr{suffix}", classes, 64, 32)
        return text + crop(f"score{suffix}", f"upscore{suffix} data", 19)
    text += skip("upscore2", f"score_fr{suffix}", "pool4", 5, classes, suffix, factors[0])
    if stride == 16:
        text += up(f"upscore16{suffix}", f"fuse_pool4{suffix}", classes, 32, 16)
        return text + crop(f"score{suffix}", f"upscore16{suffix} data", 27)
    text += skip("upscore_pool4", f"fuse_pool4{suffix}", "pool3", 9, classes, suffix, factors[1])
    text += up(f"upscore8{suffix}", f"fuse_pool3{suffix}", classes, 16, 8)
    return text + crop(f"score{suffix}", f"upscore8{suffix} data", 31)


def skip(upscore, bottom, source, offset, classes, suffix, factor):
    upscore, scores = f"{upscore}{suffix}", f"score_{source}{suffix}"
    text = up(upscore, bottom, classes, 4, 2)
    text += scale(f"scale_{source}{suffix}", source, factor) if factor else ""
    text += score(scores, f"scale_{source}{suffix}" if factor else source, classes)
    text += crop(f"{scores}c", f"{scores} {upscore}", offset)
    return text + fuse(f"fuse_{source}{suffix}", f"{upscore} {scores}c")
