#!/usr/bin/env bash
# Builds BVLC Caffe 1.0's program `caffe` with its CUDA kernels for today's GPUs, from Debian 11's source.
#
#   scripts/build_caffe_gpu.sh [--arch 90] [--jobs N] [DIR]
#
# DIR is $FCNKIT_CAFFE_GPU, or fcnkit/caffe-gpu in the user's cache folder, when it is not given; there
# `fcnkit train --gpu` finds it.  --arch is the GPU's compute capability without the dot, that of the GPU
# in this machine when there is one and 90 when there is none; later ones can run it too.
#
# Needs nvcc (CUDA 12 or 13: on the PATH, or its folder in CUDA_HOME), a C++ compiler, make, apt, and the
# development packages that it names if they are missing, and installs if it is run by root.  cuBLAS and
# cuRAND come with the CUDA toolkit, or else as Python packages of the same version.
# LMDB and HDF5 are in; OpenCV, LevelDB and cuDNN are not, so that Datums must hold raw pixels.
# A second run ends at once.
set -euo pipefail

say() { printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2; }
fail() { say "$@"; exit 1; }

packages="g++ make dpkg-dev libboost-system-dev libboost-filesystem-dev libboost-thread-dev libgflags-dev \
libgoogle-glog-dev libprotobuf-dev protobuf-compiler libhdf5-dev libopenblas-dev liblmdb-dev"
marker=.fcnkit-caffe-gpu-whole
runtime=${FCNKIT_CAFFE_GPU:-${XDG_CACHE_HOME:-$HOME/.cache}/fcnkit/caffe-gpu}
arch=
jobs=$(nproc)

usage() { sed -n '2,/^set/ { /^#/ s/^# \{0,1\}//p }' "$0"; }

arguments() {
    while [ $# -gt 0 ]; do
        case $1 in
            -h | --help) usage; exit 0 ;;
            --arch | --jobs)
                [[ ${2:-} =~ ^[0-9]+$ ]] || fail "$1 takes a number, as in --arch 90"
                declare -g "${1#--}=$2"
                shift ;;
            -*) fail "there is no option $1; see --help" ;;
            *) runtime=$1 ;;
        esac
        shift
    done
}

find_cuda() {
    nvcc=${CUDA_HOME:+$CUDA_HOME/bin/nvcc}
    nvcc=${nvcc:-$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)}
    [ -x "$nvcc" ] || fail "there is no nvcc; install NVIDIA's CUDA toolkit 12 or 13, or name its folder in CUDA_HOME"
    cuda=$("$nvcc" --version | sed -n 's/.*release \([0-9]*\.[0-9]*\),.*/\1/p')
    toolkit=$(dirname "$(dirname "$(readlink -f "$nvcc")")")
    [ -e "$toolkit/include/cuda_runtime.h" ] || toolkit=/usr/local/cuda
    say "CUDA $cuda ($nvcc)"
}

gpu() { nvidia-smi --query-gpu="$1" --format=csv,noheader 2>/dev/null | head -n 1 || true; }

find_arch() {
    [ -n "$arch" ] || arch=$(gpu compute_cap | tr -d .)
    arch=${arch:-90}
    "$nvcc" --list-gpu-code | grep -qx "sm_$arch" ||
        fail "CUDA $cuda makes no code for sm_$arch; it does for $("$nvcc" --list-gpu-code | paste -sd' ')"
}

need_packages() {
    local each missing=()
    command -v apt-get >/dev/null && command -v dpkg >/dev/null ||
        fail "there is no apt here; Caffe's source comes from Debian 11"
    for each in $packages; do
        dpkg -s "$each" 2>/dev/null | grep -q '^Status: install ok installed' || missing+=("$each")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    local install=(apt-get install -y --no-install-recommends "${missing[@]}")
    [ "$(id -u)" = 0 ] || fail "${#missing[@]} packages are missing; as root, run: ${install[*]}"
    say "installing ${missing[*]}"
    { apt-get update && DEBIAN_FRONTEND=noninteractive "${install[@]}"; } >"$work/packages.log" 2>&1 || {
        tail -n 5 "$work/packages.log" >&2
        fail "they could not be installed; see above"
    }
}

fetch_source() {
    say "fetching Caffe's source (9 MB)"
    python3 "$(dirname "${BASH_SOURCE[0]}")/caffe_source.py" "$work" ||
        fail "the source could not be fetched; see above"
    source=$(echo "$work"/caffe-1.0*/)
}

# Line by line what newer libraries dropped; a source in which a line is not there is another source.
mend() {
    local file=$source/$1 from=$2 to=$3
    grep -q "$from" "$file" || fail "$1: has no \"$from\", so this is not the source that is known to build"
    sed -i "s/$from/$to/" "$file"
}

mend_source() {
    # CUDA 13's cudaDeviceProp has none of the three that `caffe device_query` prints.
    mend src/caffe/common.cpp 'prop\.clockRate' '"not told"'
    mend src/caffe/common.cpp '(prop\.deviceOverlap ? "Yes" : "No")' '"not told"'
    mend src/caffe/common.cpp '(prop\.kernelExecTimeoutEnabled ? "Yes" : "No")' '"not told"'
    # protobuf 3.21 no longer warns of large messages at a size of one's own.
    mend src/caffe/util/io.cpp 'SetTotalBytesLimit(kProtoReadBytesLimit, 536870912)' \
        'SetTotalBytesLimit(kProtoReadBytesLimit)'
}

# cuBLAS and cuRAND: `libraries` is the folder that has both afterwards, `headers` their include options.
find_libraries() {
    local header
    libraries=$work/root/lib
    mkdir -p "$libraries"
    if [ -e "$toolkit/include/cublas_v2.h" ] && [ -e "$toolkit/include/curand.h" ]; then
        headers=
        cp -d "$toolkit"/lib64/libcublas.so* "$toolkit"/lib64/libcublasLt.so* "$toolkit"/lib64/libcurand.so* "$libraries"
        return
    fi
    local names=("nvidia-cublas==$cuda.*" "nvidia-curand==10.4.0.*")
    # CUDA 13's packages bear no number; those of 12 have cuRAND 10.3.
    [ "${cuda%%.*}" -ge 13 ] || names=("nvidia-cublas-cu12==$cuda.*" "nvidia-curand-cu12==10.3.*")
    say "fetching ${names[*]} (600 MB)"
    python3 -m venv "$work/venv" &&
        "$work/venv/bin/pip" install -q --disable-pip-version-check --no-deps --target "$work/packages" "${names[@]}" ||
        fail "they could not be fetched; install cuBLAS and cuRAND of CUDA $cuda into $toolkit"
    headers=
    for header in cublas_v2.h curand.h; do
        headers+=" -I$(dirname "$(find "$work/packages" -name $header | head -n 1)")"
    done
    find "$work/packages" \( -name 'libcublas*.so.*' -o -name 'libcurand*.so.*' \) -exec mv -t "$libraries" {} +
}

write_makefile() {
    cat >"$work/Makefile" <<END
SRC := $source
OUT := $work/objects
FLAGS := -std=c++17 -O2 -DNDEBUG -DUSE_LMDB -DUSE_HDF5 -DCAFFE_VERSION=1.0.0 -I\$(SRC)/include -I\$(OUT) \\
    -I/usr/include/hdf5/serial -I$toolkit/include$headers
HOST := -fPIC -pthread -w
# The library's own parts, without tests, Python layers and cuDNN's.
CPP := \$(filter-out %/cudnn.cpp,\$(shell find \$(SRC)/src/caffe -name '*.cpp' -not -path '*/test/*'))
CU := \$(shell find \$(SRC)/src/caffe -name '*.cu' -not -path '*/test/*')
OBJECTS := \$(CPP:\$(SRC)/src/%.cpp=\$(OUT)/%.o) \$(CU:\$(SRC)/src/%.cu=\$(OUT)/%.cu.o) \\
    \$(OUT)/caffe/proto/caffe.pb.o \$(OUT)/tools/caffe.o
LIBS := -lboost_system -lboost_filesystem -lboost_thread -lglog -lgflags -lprotobuf -lhdf5_serial_hl -lhdf5_serial \\
    -llmdb -lopenblas $toolkit/lib64/libcudart_static.a -ldl -lrt

$work/root/bin/caffe: \$(OBJECTS)
	@mkdir -p \$(@D)
	g++ -pthread -o \$@ \$^ -Wl,-rpath,'\$\$ORIGIN/../lib' \$(LIBS) \\
	    $libraries/libcublas.so.* $libraries/libcurand.so.* -L/usr/lib/\$(shell gcc -print-multiarch)/hdf5/serial \\
	    -Wl,-rpath-link,$libraries
\$(OUT)/caffe/proto/caffe.pb.cc: \$(SRC)/src/caffe/proto/caffe.proto
	@mkdir -p \$(@D)
	protoc -I\$(SRC)/src/caffe/proto --cpp_out=\$(@D) \$<
\$(OBJECTS): | \$(OUT)/caffe/proto/caffe.pb.cc
\$(OUT)/caffe/proto/caffe.pb.o: \$(OUT)/caffe/proto/caffe.pb.cc
	g++ \$(FLAGS) \$(HOST) -c -o \$@ \$<
\$(OUT)/tools/%.o: \$(SRC)/tools/%.cpp
	@mkdir -p \$(@D)
	g++ \$(FLAGS) \$(HOST) -c -o \$@ \$<
\$(OUT)/%.cu.o: \$(SRC)/src/%.cu
	@mkdir -p \$(@D)
	$nvcc \$(FLAGS) -w -Xcompiler '\$(HOST)' \\
	    -gencode arch=compute_$arch,code=sm_$arch -gencode arch=compute_$arch,code=compute_$arch -c -o \$@ \$<
\$(OUT)/%.o: \$(SRC)/src/%.cpp
	@mkdir -p \$(@D)
	g++ \$(FLAGS) \$(HOST) -c -o \$@ \$<
END
}

build() {
    local begin=$SECONDS
    say "compiling for sm_$arch with $jobs jobs (about 20 minutes of processor time)"
    make -f "$work/Makefile" -j "$jobs" >"$work/make.log" 2>&1 || {
        grep -m 5 -E 'error|Error' "$work/make.log" >&2
        cp "$work/make.log" "$runtime.log"
        fail "it does not compile; all that was said is in $runtime.log"
    }
    say "compiled in $((SECONDS - begin)) seconds"
}

# A small FCN with the layers that most have, and 20 steps of it.
write_trial() {
    cat >"$work/trial.prototxt" <<'END'
layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { dim: 1 dim: 3 dim: 40 dim: 40 } shape { dim: 1 dim: 1 dim: 40 dim: 40 }
  data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 2 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" convolution_param {
  num_output: 8 kernel_size: 5 pad: 10 stride: 2 weight_filler { type: "msra" } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "norm1" type: "LRN" bottom: "conv1" top: "norm1" }
layer { name: "pool1" type: "Pooling" bottom: "norm1" top: "pool1" pooling_param { kernel_size: 3 stride: 2 } }
layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2" convolution_param {
  num_output: 8 kernel_size: 3 group: 2 weight_filler { type: "msra" } } }
layer { name: "score" type: "Convolution" bottom: "conv2" top: "score" convolution_param {
  num_output: 4 kernel_size: 1 weight_filler { type: "msra" } } }
layer { name: "up" type: "Deconvolution" bottom: "score" top: "up" param { lr_mult: 0 } convolution_param {
  num_output: 4 group: 4 kernel_size: 8 stride: 4 bias_term: false weight_filler { type: "bilinear" } } }
layer { name: "crop" type: "Crop" bottom: "up" bottom: "label" top: "crop" crop_param { offset: 6 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "crop" bottom: "label" top: "loss" }
END
    cat >"$work/trial_solver.prototxt" <<END
net: "$work/trial.prototxt" base_lr: 0.001 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.0005
max_iter: 20 display: 1 random_seed: 1 snapshot_after_train: false solver_mode: CPU
END
}

# The losses of the trial, one a line; $1 is --gpu=0, or nothing for the CPU.
trial() {
    "$work/root/bin/caffe" train --solver="$work/trial_solver.prototxt" $1 >"$work/check.log" 2>&1 || {
        grep -m 1 '^F' "$work/check.log" >&2 || tail -n 5 "$work/check.log" >&2
        fail "it does not train${1:+ with $1}; see above"
    }
    sed -n 's/.*Iteration [0-9]* ([^)]*), loss = //p' "$work/check.log"
}

try() {
    "$work/root/bin/caffe" --version >"$work/check.log" 2>&1 || {
        tail -n 5 "$work/check.log" >&2
        fail "the program does not start; see above"
    }
    write_trial
    trial "" >"$work/cpu.losses"
    [ "$(wc -l <"$work/cpu.losses")" = 20 ] || fail "20 steps on the CPU said $(wc -l <"$work/cpu.losses") losses"
    say "it trains on the CPU: in 20 steps from loss $(sed -n 1p "$work/cpu.losses") to $(sed -n 20p "$work/cpu.losses")"
    if [ -z "$(gpu name)" ]; then
        say "there is no NVIDIA GPU here: that it runs on one was NOT tried"
        return
    fi
    trial --gpu=0 >"$work/gpu.losses"
    local apart
    apart=$(paste "$work/cpu.losses" "$work/gpu.losses" | awk '
        { apart = $2 ~ /^[0-9]/ ? ($1 - $2) / $1 : 1; apart = apart < 0 ? -apart : apart }
        apart > most { most = apart }
        END { print NR == 20 ? most + 0 : 1 }')
    awk "BEGIN { exit !($apart < 1e-3) }" ||
        fail "on $(gpu name) losses differ from those on the CPU by up to $apart of themselves"
    say "it trains on $(gpu name) too: losses differ by at most $apart of themselves"
}

main() {
    arguments "$@"
    if [ -e "$runtime/$marker" ]; then
        say "Caffe for GPUs is in $runtime"
        return
    fi
    [ ! -e "$runtime" ] || rmdir "$runtime" 2>/dev/null ||
        fail "$runtime exists and is not a whole Caffe; remove it, or name another folder"
    local parent
    parent=$(dirname "$runtime")
    mkdir -p "$parent" || fail "$parent cannot be made"
    work=$(mktemp -d "$parent/.caffe-gpu.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM HUP
    find_cuda
    find_arch
    need_packages
    fetch_source
    mend_source
    find_libraries
    write_makefile
    build
    try
    echo "Caffe 1.0 from Debian 11's source, CUDA $cuda, sm_$arch" >"$work/root/$marker"
    chmod 755 "$work/root"
    mv -T "$work/root" "$runtime" || fail "$runtime cannot be written"
    say "Caffe for GPUs is in $runtime"
}

main "$@"
