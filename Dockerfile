# fcnkit with real Caffe for the CPU, made of Debian's packages alone:
#
#   docker build -t fcnkit .
#   docker run --rm -v "$PWD:/work" fcnkit inspect deploy.prototxt
#
# scripts/dockerfile_steps.py takes the same steps in a folder, where no Docker runs.
FROM debian:trixie-slim

RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        debian-archive-keyring python3 python3-pip python3-setuptools \
        python3-click python3-filelock python3-h5py python3-numpy python3-protobuf python3-rich \
        python3-lmdb python3-matplotlib python3-pil python3-onnx python3-onnxruntime \
    && rm -rf /var/lib/apt/lists/*

COPY . /usr/src/fcnkit
RUN pip install --no-index --no-deps --no-build-isolation --break-system-packages \
        --root-user-action ignore --no-cache-dir /usr/src/fcnkit

ENV FCNKIT_CAFFE=/opt/caffe
RUN fcnkit caffe install
RUN fcnkit doctor

WORKDIR /work
ENTRYPOINT ["fcnkit"]
