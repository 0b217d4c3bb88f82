"""Caffe's layers and their fields for editors and type checkers.

`make stubs` writes this file.  A field's default is Caffe's, `...` where it has none; a dict
is a message.
"""

from collections.abc import Sequence
from typing import Any

from fcnkit.pycaffe.tops import Top

class Parameters:
    class Filler:
        FAN_IN: int
        FAN_OUT: int
        AVERAGE: int

    class Data:
        LEVELDB: int
        LMDB: int

    class Convolution:
        DEFAULT: int
        CAFFE: int
        CUDNN: int

    class Pooling:
        MAX: int
        AVE: int
        STOCHASTIC: int
        DEFAULT: int
        CAFFE: int
        CUDNN: int
        CEIL: int
        FLOOR: int

    class SPP:
        MAX: int
        AVE: int
        STOCHASTIC: int
        DEFAULT: int
        CAFFE: int
        CUDNN: int

    class LRN:
        ACROSS_CHANNELS: int
        WITHIN_CHANNEL: int
        DEFAULT: int
        CAFFE: int
        CUDNN: int

    class Eltwise:
        PROD: int
        SUM: int
        MAX: int

    class ReLU:
        DEFAULT: int
        CAFFE: int
        CUDNN: int

    class Sigmoid:
        DEFAULT: int
        CAFFE: int
        CUDNN: int

    class TanH:
        DEFAULT: int
        CAFFE: int
        CUDNN: int

    class Reduction:
        SUM: int
        ASUM: int
        SUMSQ: int
        MEAN: int

    class Softmax:
        DEFAULT: int
        CAFFE: int
        CUDNN: int

    class Loss:
        FULL: int
        VALID: int
        BATCH_SIZE: int
        NONE: int

    class HingeLoss:
        L1: int
        L2: int

    class BN:
        LEARN: int
        INFERENCE: int
        DEFAULT: int
        CAFFE: int
        CUDNN: int

    class Resize:
        WARP: int
        FIT_SMALL_SIZE: int
        FIT_LARGE_SIZE_AND_PAD: int
        CONSTANT: int
        MIRRORED: int
        REPEAT_NEAREST: int
        LINEAR: int
        AREA: int
        NEAREST: int
        CUBIC: int
        LANCZOS4: int

    class RBMInnerProduct:
        RECONSTRUCTION: int
        FREE_ENERGY: int

    class SpatialPyramidPooling:
        MAX: int
        AVE: int
        STOCHASTIC: int

    class BiasChannel:
        IMAGE: int
        PIXEL: int

    class SegAccuracy:
        PixelAccuracy: int
        ClassAccuracy: int
        PixelIOU: int

    class VideoData:
        RGB: int
        FLOW: int
        WEBCAM: int
        VIDEO: int

    class AnnotatedData:
        BBOX: int

    class DetectionOutput:
        CORNER: int
        CENTER_SIZE: int
        CORNER_SIZE: int

    class MultiBoxLoss:
        L2: int
        SMOOTH_L1: int
        SOFTMAX: int
        LOGISTIC: int
        BIPARTITE: int
        PER_PREDICTION: int
        CORNER: int
        CENTER_SIZE: int
        CORNER_SIZE: int
        NONE: int
        MAX_NEGATIVE: int
        HARD_EXAMPLE: int

    class Pooling3D:
        MAX: int
        AVE: int
        STOCHASTIC: int

    class DownSampling:
        NONE: int
        VOTE: int
        AVERAGE: int

    class DetectNetGroundTruth:
        GRIDBOX_MAX: int
        GRIDBOX_MIN: int
        RECTANGULAR: int

    class TRT:
        FP32: int
        FP16: int
        INT8: int

    class EvalDetection:
        OBJ: int
        PROB: int
        MULTIPLY: int

    class Quantization:
        DYNAMIC_FIXED_POINT: int
        NEAREST: int

    class Split:
        DEFAULT: int
        CAFFE: int
        MKL2017: int
        MKLDNN: int

    class Yolov3:
        IOU: int
        GIOU: int
        MSE: int
        DIOU: int
        CIOU: int

    class FlowWarp:
        ZERO: int
        NOT_A_NUMBER: int

    class Correlation:
        MULTIPLY: int
        SUBTRACT: int

    class Resample:
        NEAREST: int
        LINEAR: int
        CUBIC: int
        AREA: int

    class Mean:
        ADD: int
        SUBTRACT: int

    class XLU:
        Signed: int
        Unsigned: int
        Signed_8bit: int
        Unsigned_8bit: int
        DEFAULT: int
        CAFFE: int
        CUDNN: int

    class SqueezeConvolution:
        Signed: int
        Unsigned: int
        Signed_8bit: int
        Unsigned_8bit: int
        tflite: int
        ONNX: int
        Caffe2: int
        DEFAULT: int
        CAFFE: int
        CUDNN: int

    class ResizeBilinear:
        Signed: int
        Unsigned: int
        Signed_8bit: int
        Unsigned_8bit: int
        tflite: int
        ONNX: int
        Caffe2: int

    class SpatialBatchingPooling:
        MAX: int
        AVE: int
        STOCHASTIC: int
        DEFAULT: int
        CAFFE: int
        CUDNN: int
        Signed: int
        Unsigned: int
        Signed_8bit: int
        Unsigned_8bit: int

    class YoloEvalDetection:
        OBJ: int
        PROB: int
        MULTIPLY: int

    class DeephiResize:
        BILINEAR: int
        NEAREST: int

    class Fixed:
        OVER_FLOW: int
        DIFF_S: int
        DIFF_A: int
        DIFF_S_SIGMOID: int

    def __getattr__(self, name: str) -> Any: ...

params: Parameters

class Layers:
    def AbsVal(
        self,
        *bottoms: Top,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def Accuracy(
        self,
        *bottoms: Top,
        top_k: int = 1,
        axis: int = 1,
        ignore_label: int = ...,
        accuracy_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def Add(
        self,
        *bottoms: Top,
        add_shape: int | list[int] = ...,
        add_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def AnnotatedData(
        self,
        *bottoms: Top,
        batch_sampler: dict[str, Any] | list[dict[str, Any]] = ...,
        label_map_file: str = ...,
        anno_type: int = ...,
        yolo_data_type: int = 0,
        yolo_data_jitter: float = 0.3,
        train_diffcult: bool = True,
        single_class: bool = True,
        seg_scales: int = 8,
        seg_resize_width: int = 0,
        seg_resize_height: int = 0,
        difficult_label_warmup: bool = False,
        has_seg_label: bool = False,
        has_lane_label: bool = False,
        tiling_width: int = 20,
        tiling_height: int = 15,
        label_resolution: int = 8,
        catalog_resolution: int = 4,
        shrink_prob_factor: float = 1.0,
        data_param: dict[str, Any] = ...,
        transform_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def ArgMax(
        self,
        *bottoms: Top,
        out_max_val: bool = False,
        top_k: int = 1,
        axis: int = ...,
        argmax_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def AutoCrop(
        self,
        *bottoms: Top,
        crop_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def Axpy(
        self,
        *bottoms: Top,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def BNLL(
        self,
        *bottoms: Top,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def BatchNorm(
        self,
        *bottoms: Top,
        use_global_stats: bool = ...,
        moving_average_fraction: float = 0.999,
        eps: float = 1e-05,
        batch_norm_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def BatchReindex(
        self,
        *bottoms: Top,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def Bias(
        self,
        *bottoms: Top,
        axis: int = 1,
        num_axes: int = 1,
        filler: dict[str, Any] = ...,
        bias_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def BoxAnnotatorOHEM(
        self,
        *bottoms: Top,
        roi_per_img: int = ...,
        ignore_label: int = -1,
        box_annotator_ohem_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def Clip(
        self,
        *bottoms: Top,
        min: float = ...,
        max: float = ...,
        clip_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def Concat(
        self,
        *bottoms: Top,
        axis: int = 1,
        concat_dim: int = 1,
        concat_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def ContrastiveLoss(
        self,
        *bottoms: Top,
        margin: float = 1.0,
        legacy_version: bool = False,
        contrastive_loss_param: dict[str, Any] = ...,
        loss_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def Convolution(
        self,
        *bottoms: Top,
        num_output: int = ...,
        bias_term: bool = True,
        pad: int | list[int] = ...,
        kernel_size: int | list[int] = ...,
        stride: int | list[int] = ...,
        dilation: int | list[int] = ...,
        pad_h: int = 0,
        pad_w: int = 0,
        kernel_h: int = ...,
        kernel_w: int = ...,
        stride_h: int = ...,
        stride_w: int = ...,
        group: int = 1,
        weight_filler: dict[str, Any] = ...,
        bias_filler: dict[str, Any] = ...,
        engine: int = params.Convolution.DEFAULT,
        axis: int = 1,
        force_nd_im2col: bool = False,
        convolution_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def ConvolutionDepthwise(
        self,
        *bottoms: Top,
        convolution_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def Crop(
        self,
        *bottoms: Top,
        axis: int = 2,
        offset: int | list[int] = ...,
        crop_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def Data(
        self,
        *bottoms: Top,
        source: str = ...,
        backend: int = params.Data.LEVELDB,
        batch_size: int = ...,
        rand_skip: int = 0,
        prefetch: int = 4,
        scale: float = 1.0,
        mean_file: str = ...,
        crop_size: int = 0,
        mirror: bool = False,
        force_encoded_color: bool = False,
        data_param: dict[str, Any] = ...,
        transform_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def Deconvolution(
        self,
        *bottoms: Top,
        convolution_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def DenseImageData(
        self,
        *bottoms: Top,
        source: str = ...,
        batch_size: int = 1,
        rand_skip: int = 0,
        shuffle: bool = False,
        new_height: int = 0,
        new_width: int = 0,
        is_color: bool = True,
        root_folder: str = "",
        mean_file: str = ...,
        mirror: bool = False,
        crop_width: int = 0,
        crop_height: int = 0,
        label_divide_factor: int = 1,
        dense_image_data_param: dict[str, Any] = ...,
        transform_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def DepthToSpace(
        self,
        *bottoms: Top,
        block_size: int = 1,
        data_format: str = "NHWC",
        depth_to_space_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def DepthwiseConvolution(
        self,
        *bottoms: Top,
        convolution_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def DetectionEvaluate(
        self,
        *bottoms: Top,
        num_classes: int = ...,
        background_label_id: int = 0,
        overlap_threshold: float = 0.5,
        evaluate_difficult_gt: bool = True,
        name_size_file: str = ...,
        resize_param: dict[str, Any] = ...,
        detection_evaluate_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def DetectionOutput(
        self,
        *bottoms: Top,
        num_classes: int = ...,
        share_location: bool = True,
        background_label_id: int = 0,
        nms_param: dict[str, Any] = ...,
        save_output_param: dict[str, Any] = ...,
        code_type: int = params.DetectionOutput.CORNER,
        variance_encoded_in_target: bool = False,
        keep_top_k: int = -1,
        confidence_threshold: float = ...,
        visualize: bool = False,
        visualize_threshold: float = ...,
        save_file: str = ...,
        objectness_score: float = 0.01,
        ratio_permute: bool = False,
        no_permute: bool = False,
        nbottom: int = 6,
        arm_conf_no_concat: bool = False,
        arm_loc_no_concat: bool = False,
        ratio0: int = 3,
        ratio1: int = 6,
        ratio2: int = 6,
        ratio3: int = 6,
        ratio4: int = 6,
        ratio5: int = 6,
        tflite_detection: bool = False,
        tflite_use_regular_nms: bool = False,
        max_classes_per_detection: int = 1,
        scale_xywh: float | list[float] = ...,
        has_segmap: bool = False,
        clip: bool = ...,
        detection_output_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def Dropout(
        self,
        *bottoms: Top,
        dropout_ratio: float = 0.5,
        dropout_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def DummyData(
        self,
        *bottoms: Top,
        data_filler: dict[str, Any] | list[dict[str, Any]] = ...,
        shape: dict[str, Any] | list[dict[str, Any]] = ...,
        num: int | list[int] = ...,
        channels: int | list[int] = ...,
        height: int | list[int] = ...,
        width: int | list[int] = ...,
        dummy_data_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def ELU(
        self,
        *bottoms: Top,
        alpha: float = 1.0,
        elu_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def Eltwise(
        self,
        *bottoms: Top,
        operation: int = params.Eltwise.SUM,
        coeff: float | list[float] = ...,
        stable_prod_grad: bool = True,
        eltwise_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def Embed(
        self,
        *bottoms: Top,
        num_output: int = ...,
        input_dim: int = ...,
        bias_term: bool = True,
        weight_filler: dict[str, Any] = ...,
        bias_filler: dict[str, Any] = ...,
        embed_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def EuclideanLoss(
        self,
        *bottoms: Top,
        loss_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def EvalDetection(
        self,
        *bottoms: Top,
        side: int = 7,
        num_class: int = 20,
        num_object: int = 2,
        threshold: float = 0.5,
        sqrt: bool = True,
        constriant: bool = True,
        score_type: int = params.EvalDetection.MULTIPLY,
        nms: float = -1.0,
        biases: float | list[float] = ...,
        eval_detection_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def Exp(
        self,
        *bottoms: Top,
        base: float = -1.0,
        scale: float = 1.0,
        shift: float = 0.0,
        exp_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def Filter(
        self,
        *bottoms: Top,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def Flatten(
        self,
        *bottoms: Top,
        axis: int = 1,
        end_axis: int = -1,
        flatten_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def HDF5Data(
        self,
        *bottoms: Top,
        source: str = ...,
        batch_size: int = ...,
        shuffle: bool = False,
        hdf5_data_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def HDF5Output(
        self,
        *bottoms: Top,
        file_name: str = ...,
        hdf5_output_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def HardSigmoid(
        self,
        *bottoms: Top,
        alpha: float = 0.2,
        beta: float = 0.5,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def HardSwish(
        self,
        *bottoms: Top,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def HingeLoss(
        self,
        *bottoms: Top,
        norm: int = params.HingeLoss.L1,
        hinge_loss_param: dict[str, Any] = ...,
        loss_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def Im2col(
        self,
        *bottoms: Top,
        convolution_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def ImageData(
        self,
        *bottoms: Top,
        source: str = ...,
        root_folder: str = "",
        batch_size: int = 1,
        rand_skip: int = 0,
        shuffle: bool = False,
        new_height: int = 0,
        new_width: int = 0,
        is_color: bool = True,
        scale: float = 1.0,
        mean_file: str = ...,
        crop_size: int = 0,
        mirror: bool = False,
        image_data_param: dict[str, Any] = ...,
        transform_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def ImageSegData(
        self,
        *bottoms: Top,
        image_data_param: dict[str, Any] = ...,
        transform_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def InfogainLoss(
        self,
        *bottoms: Top,
        source: str = ...,
        axis: int = 1,
        infogain_loss_param: dict[str, Any] = ...,
        softmax_param: dict[str, Any] = ...,
        loss_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def InnerProduct(
        self,
        *bottoms: Top,
        num_output: int = ...,
        bias_term: bool = True,
        weight_filler: dict[str, Any] = ...,
        bias_filler: dict[str, Any] = ...,
        axis: int = 1,
        transpose: bool = False,
        inner_product_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def Input(
        self,
        *bottoms: Top,
        shape: dict[str, Any] | list[dict[str, Any]] = ...,
        input_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def Interp(
        self,
        *bottoms: Top,
        height: int = 0,
        width: int = 0,
        zoom_factor: int = 1,
        shrink_factor: int = 1,
        pad_beg: int = 0,
        pad_end: int = 0,
        full_zoom_factor: int = 1,
        interp_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def LRN(
        self,
        *bottoms: Top,
        local_size: int = 5,
        alpha: float = 1.0,
        beta: float = 0.75,
        norm_region: int = params.LRN.ACROSS_CHANNELS,
        k: float = 1.0,
        engine: int = params.LRN.DEFAULT,
        lrn_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def LSTM(
        self,
        *bottoms: Top,
        recurrent_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def LSTMUnit(
        self,
        *bottoms: Top,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def Log(
        self,
        *bottoms: Top,
        base: float = -1.0,
        scale: float = 1.0,
        shift: float = 0.0,
        log_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def MVN(
        self,
        *bottoms: Top,
        normalize_variance: bool = True,
        across_channels: bool = False,
        eps: float = 1e-09,
        mvn_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def MaskPooling(
        self,
        *bottoms: Top,
        mask_pooling_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def MaskResize(
        self,
        *bottoms: Top,
        output_height: int = 0,
        output_width: int = 0,
        mask_resize_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def MatWrite(
        self,
        *bottoms: Top,
        prefix: str = ...,
        source: str = "",
        strip: int = 0,
        period: int = 1,
        mat_write_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def MemoryData(
        self,
        *bottoms: Top,
        batch_size: int = ...,
        channels: int = ...,
        height: int = ...,
        width: int = ...,
        memory_data_param: dict[str, Any] = ...,
        transform_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def Mish(
        self,
        *bottoms: Top,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def Mul(
        self,
        *bottoms: Top,
        mul_shape: int | list[int] = ...,
        mul_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def MultiBoxLoss(
        self,
        *bottoms: Top,
        loc_loss_type: int = params.MultiBoxLoss.SMOOTH_L1,
        conf_loss_type: int = params.MultiBoxLoss.SOFTMAX,
        loc_weight: float = 1.0,
        num_classes: int = ...,
        share_location: bool = True,
        match_type: int = params.MultiBoxLoss.PER_PREDICTION,
        overlap_threshold: float = 0.5,
        use_prior_for_matching: bool = True,
        background_label_id: int = 0,
        use_difficult_gt: bool = True,
        do_neg_mining: bool = ...,
        neg_pos_ratio: float = 3.0,
        neg_overlap: float = 0.5,
        code_type: int = params.MultiBoxLoss.CORNER,
        encode_variance_in_target: bool = False,
        map_object_to_agnostic: bool = False,
        ignore_cross_boundary_bbox: bool = False,
        bp_inside: bool = False,
        mining_type: int = params.MultiBoxLoss.MAX_NEGATIVE,
        nms_param: dict[str, Any] = ...,
        sample_size: int = 64,
        use_prior_for_nms: bool = False,
        ignore_difficult_gt: bool = False,
        objectness_score: float = 0.01,
        ori_flag: bool = False,
        multibox_loss_param: dict[str, Any] = ...,
        loss_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def MultinomialLogisticLoss(
        self,
        *bottoms: Top,
        loss_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def Normalize(
        self,
        *bottoms: Top,
        across_spatial: bool = True,
        scale_filler: dict[str, Any] = ...,
        channel_shared: bool = True,
        eps: float = 1e-10,
        add_eps_before_sqrt: bool = True,
        norm_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def PReLU(
        self,
        *bottoms: Top,
        filler: dict[str, Any] = ...,
        channel_shared: bool = False,
        prelu_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def PSROIPooling(
        self,
        *bottoms: Top,
        spatial_scale: float = ...,
        output_dim: int = ...,
        group_size: int = ...,
        psroi_pooling_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def Pad(
        self,
        *bottoms: Top,
        constant_values: float = 0.0,
        paddings: int | list[int] = ...,
        pad_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def Padding(
        self,
        *bottoms: Top,
        pad_beg: int = 0,
        pad_end: int = 0,
        padding_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def Parameter(
        self,
        *bottoms: Top,
        shape: dict[str, Any] = ...,
        parameter_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def Permute(
        self,
        *bottoms: Top,
        order: int | list[int] = ...,
        permute_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def Pooling(
        self,
        *bottoms: Top,
        pool: int = params.Pooling.MAX,
        pad: int = 0,
        pad_h: int = 0,
        pad_w: int = 0,
        kernel_size: int = ...,
        kernel_h: int = ...,
        kernel_w: int = ...,
        stride: int = 1,
        stride_h: int = ...,
        stride_w: int = ...,
        engine: int = params.Pooling.DEFAULT,
        global_pooling: bool = False,
        round_mode: int = params.Pooling.CEIL,
        pooling_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def Power(
        self,
        *bottoms: Top,
        power: float = 1.0,
        scale: float = 1.0,
        shift: float = 0.0,
        power_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def PriorBox(
        self,
        *bottoms: Top,
        min_size: float | list[float] = ...,
        max_size: float | list[float] = ...,
        aspect_ratio: float | list[float] = ...,
        flip: bool = True,
        clip: bool = False,
        variance: float | list[float] = ...,
        img_size: int = ...,
        img_h: int = ...,
        img_w: int = ...,
        step: float = ...,
        step_h: float = ...,
        step_w: float = ...,
        offset: float = 0.5,
        offset_h: float | list[float] = ...,
        offset_w: float | list[float] = ...,
        box_width: float | list[float] = ...,
        box_height: float | list[float] = ...,
        faceboxes: bool = False,
        tf: bool = False,
        yx_order: bool = False,
        keras: bool = False,
        prior_box_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def Proposal(
        self,
        *bottoms: Top,
        feat_stride: int = 16,
        anchor_base_size: int = 16,
        anchor_scale: int = 3,
        anchor_ratio: int = 3,
        max_rois: int = 300,
        pre_nms_topn: int = 6000,
        rpn_min_size: float = 16.0,
        rpn_nms_thresh: float = 0.7,
        nms_input_num: int = 6000,
        nms_output_num: int = 300,
        stride_h: int = ...,
        stride_w: int = ...,
        nms_iou_th: float = ...,
        min_width: float = 0.0,
        min_height: float = 0.0,
        anchor: dict[str, Any] | list[dict[str, Any]] = ...,
        ratio: float | list[float] = ...,
        scale: float | list[float] = ...,
        proposal_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def Python(
        self,
        *bottoms: Top,
        module: str = ...,
        layer: str = ...,
        param_str: str = "",
        share_in_parallel: bool = False,
        python_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def RNN(
        self,
        *bottoms: Top,
        recurrent_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def ROIPooling(
        self,
        *bottoms: Top,
        pooled_h: int = 0,
        pooled_w: int = 0,
        spatial_scale: float = 1.0,
        pooled_size: int | list[int] = ...,
        roi_pooling_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def ROIWarping(
        self,
        *bottoms: Top,
        pooled_h: int = 0,
        pooled_w: int = 0,
        spatial_scale: float = 1.0,
        roi_warping_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def ReLU(
        self,
        *bottoms: Top,
        negative_slope: float = 0.0,
        engine: int = params.ReLU.DEFAULT,
        relu_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def ReLU6(
        self,
        *bottoms: Top,
        relu_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def Reduction(
        self,
        *bottoms: Top,
        operation: int = params.Reduction.SUM,
        axis: int = 0,
        coeff: float = 1.0,
        reduction_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def RegionLoss(
        self,
        *bottoms: Top,
        side: int = 13,
        num_class: int = 20,
        bias_match: int = 1,
        coords: int = 4,
        num: int = 5,
        softmax: int = 1,
        jitter: float = 0.2,
        rescore: int = 1,
        object_scale: float = 1.0,
        class_scale: float = 1.0,
        noobject_scale: float = 0.5,
        coord_scale: float = 5.0,
        absolute: int = 1,
        thresh: float = 0.2,
        random: int = 1,
        biases: float | list[float] = ...,
        softmax_tree: str = ...,
        class_map: str = ...,
        region_loss_param: dict[str, Any] = ...,
        loss_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def Reorg(
        self,
        *bottoms: Top,
        stride: int = 1,
        reverse: bool = False,
        reorg_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def Reshape(
        self,
        *bottoms: Top,
        shape: dict[str, Any] = ...,
        axis: int = 0,
        num_axes: int = -1,
        reshape_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def ResizeNearestNeighbor(
        self,
        *bottoms: Top,
        output_height: int = ...,
        output_width: int = ...,
        scale_height: float = 1.0,
        scale_width: float = 1.0,
        data_format: str = "NHWC",
        align_corners: bool = False,
        half_pixel_centers: bool = False,
        half_pixel_onnx: bool = False,
        resize_nearest_neighbor_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def SPP(
        self,
        *bottoms: Top,
        pyramid_height: int = ...,
        pool: int = params.SPP.MAX,
        engine: int = params.SPP.DEFAULT,
        spp_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def Scale(
        self,
        *bottoms: Top,
        axis: int = 1,
        num_axes: int = 1,
        filler: dict[str, Any] = ...,
        bias_term: bool = False,
        bias_filler: dict[str, Any] = ...,
        scale_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def SegAccuracy(
        self,
        *bottoms: Top,
        metric: int = params.SegAccuracy.PixelAccuracy,
        ignore_label: int | list[int] = ...,
        reset: bool = True,
        seg_accuracy_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def ShuffleChannel(
        self,
        *bottoms: Top,
        group: int = 1,
        shuffle_channel_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def Sigmoid(
        self,
        *bottoms: Top,
        engine: int = params.Sigmoid.DEFAULT,
        sigmoid_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def SigmoidCrossEntropyLoss(
        self,
        *bottoms: Top,
        sigmoid_param: dict[str, Any] = ...,
        loss_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def Silence(
        self,
        *bottoms: Top,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def Slice(
        self,
        *bottoms: Top,
        axis: int = 1,
        slice_point: int | list[int] = ...,
        slice_dim: int = 1,
        slice_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def SmoothL1Loss(
        self,
        *bottoms: Top,
        sigma: float = 1.0,
        abssum: bool = True,
        smooth_l1_loss_param: dict[str, Any] = ...,
        loss_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def SmoothL1LossOHEM(
        self,
        *bottoms: Top,
        smooth_l1_loss_param: dict[str, Any] = ...,
        loss_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def Softmax(
        self,
        *bottoms: Top,
        engine: int = params.Softmax.DEFAULT,
        axis: int = 1,
        softmax_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def SoftmaxWithLoss(
        self,
        *bottoms: Top,
        softmax_param: dict[str, Any] = ...,
        loss_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def SoftmaxWithLossOHEM(
        self,
        *bottoms: Top,
        softmax_param: dict[str, Any] = ...,
        loss_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def Split(
        self,
        *bottoms: Top,
        engine: int = params.Split.DEFAULT,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def Squeeze(
        self,
        *bottoms: Top,
        axis: int | list[int] = ...,
        squeeze_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def Swish(
        self,
        *bottoms: Top,
        beta: float = 1.0,
        swish_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def TanH(
        self,
        *bottoms: Top,
        engine: int = params.TanH.DEFAULT,
        tanh_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def Threshold(
        self,
        *bottoms: Top,
        threshold: float = 0.0,
        threshold_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def Tile(
        self,
        *bottoms: Top,
        axis: int = 1,
        tiles: int = ...,
        tile_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def Upsample(
        self,
        *bottoms: Top,
        scale: int = 2,
        scale_h: int = ...,
        scale_w: int = ...,
        pad_out_h: bool = False,
        pad_out_w: bool = False,
        upsample_h: int = ...,
        upsample_w: int = ...,
        upsample_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def UpsampleDarknet(
        self,
        *bottoms: Top,
        stride: int = 1,
        upsample_darknet_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Top: ...
    def VideoData(
        self,
        *bottoms: Top,
        source: str = ...,
        batch_size: int = ...,
        rand_skip: int = 0,
        shuffle: bool = False,
        new_height: int = 0,
        new_width: int = 0,
        new_length: int = 1,
        num_segments: int = 1,
        scale: float = 1.0,
        mean_file: str = ...,
        crop_size: int = 0,
        mirror: bool = False,
        modality: int = params.VideoData.FLOW,
        name_pattern: str = ...,
        encoded: bool = False,
        grayscale: bool = False,
        video_type: int = params.VideoData.WEBCAM,
        device_id: int = 0,
        video_file: str = ...,
        skip_frames: int = 0,
        is_color: bool = True,
        root_folder: str = "",
        show_data: bool = False,
        use_image: bool = False,
        use_temporal_jitter: bool = False,
        sampling_rate: int = 1,
        max_sampling_rate: int = 1,
        use_sampling_rate_jitter: bool = False,
        use_multiple_label: bool = False,
        num_of_labels: int = 1,
        video_data_param: dict[str, Any] = ...,
        transform_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def WindowData(
        self,
        *bottoms: Top,
        source: str = ...,
        root_folder: str = "",
        batch_size: int = ...,
        fg_threshold: float = 0.5,
        bg_threshold: float = 0.5,
        fg_fraction: float = 0.25,
        context_pad: int = 0,
        crop_mode: str = "warp",
        cache_images: bool = False,
        scale: float = 1.0,
        mean_file: str = ...,
        crop_size: int = 0,
        mirror: bool = False,
        window_data_param: dict[str, Any] = ...,
        transform_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def YoloDetectionOutput(
        self,
        *bottoms: Top,
        side: int = 13,
        num_classes: int = 20,
        num_box: int = 5,
        coords: int = 4,
        confidence_threshold: float = 0.01,
        nms_threshold: float = 0.45,
        biases: float | list[float] = ...,
        label_map_file: str = ...,
        yolo_detection_output_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def Yolov3DetectionOutput(
        self,
        *bottoms: Top,
        num_classes: int = 20,
        num_box: int = 3,
        confidence_threshold: float = 0.01,
        nms_threshold: float = 0.45,
        biases: float | list[float] = ...,
        anchors_scale: int | list[int] = ...,
        mask_group_num: int = 2,
        mask: int | list[int] = ...,
        gaussian_box: bool = False,
        yolov3_detection_output_param: dict[str, Any] = ...,
        name: str = ...,
        param: dict[str, Any] | list[dict[str, Any]] = ...,
        include: dict[str, Any] | list[dict[str, Any]] = ...,
        exclude: dict[str, Any] | list[dict[str, Any]] = ...,
        loss_weight: float | list[float] = ...,
        propagate_down: bool | list[bool] = ...,
        phase: int = ...,
        ntop: int = 1,
        in_place: bool = False,
        tops: str | Sequence[str] = (),
        comment: str = "",
    ) -> Any: ...
    def __getattr__(self, name: str) -> Any: ...

layers: Layers
