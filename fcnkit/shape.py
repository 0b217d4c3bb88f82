"""The shape of an array or a blob: its sizes, the outermost axis first."""

Shape = tuple[int, ...]
