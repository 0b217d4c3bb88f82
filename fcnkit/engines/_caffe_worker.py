"""Answers questions with Caffe, in processes of their own: run by Caffe's Python, never imported.

    python _caffe_worker.py FOLDER

FOLDER/request.json is a list of questions, each with the number of its own
folder.  A question's process leaves answer.json and *.npy files in its folder,
and what Caffe said in log.txt.  Caffe ends a process when a check of its fails,
so this one imports Caffe once and forks; a process answers until Caffe ends it,
and the questions behind that one have another.  Where there are Python layers,
whose modules would be shared, each net has its own.  Those that ask "again" of
the net before them share it.
Needs the standard library, numpy and caffe alone; runs on Python 3.6 and later.
"""

import json
import os
import sys
import traceback
import types

# Python puts this file's folder first, where the engine named caffe.py would stand before Caffe.
sys.path.pop(0)

import numpy as np  # noqa: E402

SLOW = ("skimage", "skimage.io", "skimage.transform", "scipy", "scipy.ndimage", "matplotlib")


def import_caffe(whole):
    """Imports Caffe; its image functions, three quarters of the time, only when `whole`."""
    if not whole:
        for name in SLOW:
            module = types.ModuleType(name)
            module.zoom = module.resize = module.io = module.transform = None
            sys.modules[name] = module
    import caffe

    if not whole:
        for name in SLOW:
            sys.modules.pop(name, None)
    caffe.set_mode_cpu()
    return caffe


def load(caffe, question):
    """The net that a question is about, with its weights."""
    phase = {"TRAIN": caffe.TRAIN, "TEST": caffe.TEST}[question["phase"]]
    caffe.set_random_seed(question["seed"])
    net = caffe.Net(
        question["net"], phase, level=question["level"], stages=list(question["stages"])
    )
    if question["weights"]:
        net.copy_from(question["weights"])
    return net


def shape(net, question):
    """The net's inputs have the shapes that the question gives."""
    for name, shape in question["shapes"].items():
        if name not in net.inputs:
            raise ValueError(
                f'"{name}" is not an input of this net; its inputs are {listed(net.inputs)}'
            )
        net.blobs[name].reshape(*shape)
    # A pass forward does so itself, when the inputs have their values: a Filter goes by those.
    if question["shapes"] and question["action"] not in ("run", "gradients"):
        net.reshape()


def listed(names):
    return ", ".join(f'"{name}"' for name in names) or "none"


def answer_load(net, question, folder):
    return {}


def answer_run(net, question, folder):
    missing = [name for name in net.inputs if name not in question["shapes"]]
    if missing:
        raise ValueError(f"no data is given for the input {listed(missing)}")
    names = question["outputs"]
    unknown = [name for name in names or () if name not in net.blobs]
    if unknown:
        raise ValueError(f"the net has no blob {listed(unknown)}")
    for number, name in enumerate(question["shapes"]):
        net.blobs[name].data[...] = np.load(os.path.join(folder, f"in{number}.npy"))
    net.forward()
    names = list(net.outputs) if names is None else names
    for number, name in enumerate(names):
        np.save(os.path.join(folder, f"out{number}.npy"), net.blobs[name].data)
    return names


def answer_gradients(net, question, folder):
    for _ in range(question["passes"]):
        names = answer_run(net, question, folder)
        net.backward()
    for number, name in enumerate(question["shapes"]):
        np.save(os.path.join(folder, f"in{number}.npy"), net.blobs[name].diff)
    for number, blobs in enumerate(net.params.values()):
        for index, blob in enumerate(blobs):
            np.save(os.path.join(folder, f"diff{number}_{index}.npy"), blob.diff)
    return {"outputs": names, "params": answer_params(net, question, folder)}


def answer_shapes(net, question, folder):
    automatic = set()
    for number, name in enumerate(net._layer_names):
        if net.layers[number].type == "Split" and name.endswith("_split"):
            automatic.update(net._top_ids(number))
    return {
        name: list(net._blobs[number].shape)
        for number, name in enumerate(net._blob_names)
        if number not in automatic
    }


def answer_params(net, question, folder):
    shapes = {}
    for number, (name, blobs) in enumerate(net.params.items()):
        shapes[name] = [list(blob.shape) for blob in blobs]
        for index, blob in enumerate(blobs if question["values"] else ()):
            np.save(os.path.join(folder, f"param{number}_{index}.npy"), blob.data)
    return shapes


ANSWERS = {
    "load": answer_load,
    "run": answer_run,
    "shapes": answer_shapes,
    "params": answer_params,
    "gradients": answer_gradients,
}


def answer(caffe, net, question, folder):
    """Writes the answer to one question, and where it fails the reason;
    the net, for those asked again.
    """
    log = os.open(os.path.join(folder, "log.txt"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    try:
        net = net or load(caffe, question)
        shape(net, question)
        result = {"answer": ANSWERS[question["action"]](net, question, folder)}
    except (ValueError, RuntimeError, OSError, MemoryError) as error:
        result = {"error": str(error) or type(error).__name__}
    except SystemError:
        # Boost raises it, without a reason, where a Python layer's module cannot be imported.
        fact = "a layer could not be created; for a Python layer, Caffe does not find the module"
        result = {
            "error": f"{fact}; remove the layer, for example with `fcnkit surgery --do drop=LAYER`"
        }
    except BaseException:
        result = {"error": traceback.format_exc()}
    with open(os.path.join(folder, "answer.json"), "w") as file:
        json.dump(result, file)
    return net


def answer_all(caffe, questions, folders):
    """The questions are answered in turn in a process of their own;
    the signal that ended it, or 0.
    """
    child = os.fork()
    if child == 0:
        net = None
        for number, question in enumerate(questions):
            net = net if question["again"] else None  # the one before it is freed first
            net = answer(caffe, net, question, folders[number])
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def main():
    top = sys.argv[1]
    with open(os.path.join(top, "request.json")) as file:
        request = json.load(file)
    caffe = import_caffe(request["whole"])
    questions = request["questions"]
    folders = [os.path.join(top, str(number)) for number in range(len(questions))]
    begin = 0
    while begin < len(questions):
        end = begin + 1
        while end < len(questions) and (not request["whole"] or questions[end]["again"]):
            end += 1
        status = answer_all(caffe, questions[begin:end], folders[begin:end])
        while begin < end and os.path.exists(os.path.join(folders[begin], "answer.json")):
            begin += 1
        if begin < end:  # the process ended at this one; those after it have another
            with open(os.path.join(folders[begin], "status"), "w") as file:
                file.write(str(status))
            begin += 1


if __name__ == "__main__":
    main()
