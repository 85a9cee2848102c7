"""Open ONNX files, without PyTorch."""

import os


def open_session(content: bytes, threads: int):
    """Load the content of an ONNX file; return an ``onnxruntime.InferenceSession`` on the CPU."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # it reports its use to its makers otherwise
    import onnxruntime  # an optional package, which reads this variable when it is imported

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
