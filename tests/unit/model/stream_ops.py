"""Random models that remember something from one run to the next: resource variables, and what streaming
layers do with them."""

from tests.unit.model.single_ops import scale, zero_point
from tests.unit.model.tflite_writer import INT32, NONE, RESOURCE, O, T, add_options, options, write_tflite

CALL_ONCE, VAR_HANDLE, READ, ASSIGN = 129, 142, 143, 144
STEP, ZERO = 0.05, 3


class Graph:
    """A graph in the making. Tensors share one quantisation, so that any may follow any."""

    def __init__(self, rng, step, zero):
        self.rng, self.step, self.zero = rng, step, zero
        self.tensors, self.ops, self.inputs, self.outputs = [], [], [], []
        self.beginning = ([], [])

    def add(self, shape, **more):
        self.tensors.append(T(shape, self.step, self.zero, **more))
        return len(self.tensors) - 1

    def ints(self, values):
        self.tensors.append(T((len(values),), None, dtype=INT32, data=values))
        return len(self.tensors) - 1

    def given(self, shape):
        self.inputs.append(self.add(shape))
        return self.inputs[-1]

    def changed(self, source, shape=None):
        """A function of the values, so that memory is written anew."""
        made = self.add(shape or self.tensors[source].shape)
        self.ops.append(O(101, (source,), (made,)))
        return made

    def sum(self, a, b):
        made = self.add(self.tensors[a].shape)
        self.ops.append(O(0, (a, b), (made,), add_options(NONE)))
        return made

    def joined(self, a, b, axis):
        left, right = self.tensors[a].shape, self.tensors[b].shape
        made = self.add((*left[:axis], left[axis] + right[axis], *left[axis + 1 :]))
        self.ops.append(O(2, (a, b), (made,), options(10, axis, ("b", NONE))))
        return made

    def end(self, source, axis, count):
        """The last `count` along the axis."""
        shape = self.tensors[source].shape
        begin = [shape[axis] - count if i == axis else 0 for i in range(len(shape))]
        size = [count if i == axis else d for i, d in enumerate(shape)]
        operands = (source, self.ints(begin), self.ints(size))
        made = self.add(tuple(size))
        self.ops.append(O(65, operands, (made,)))
        return made

    def variable(self, name, shape):
        """Its handle; sometimes CALL_ONCE gives it values."""
        self.tensors.append(T((), None, dtype=RESOURCE))
        handle = len(self.tensors) - 1
        named = (111, {0: "", 1: name})
        self.ops.append(O(VAR_HANDLE, (), (handle,), named))
        if self.rng.random() < 0.6:
            tensors, ops = self.beginning
            tensors += [
                T((), None, dtype=RESOURCE),
                T(shape, self.step, self.zero, data=self.rng.integers(-128, 128, shape)),
            ]
            at = len(tensors) - 2
            ops += [O(VAR_HANDLE, (), (at,), named), O(ASSIGN, (at, at + 1), (), (113, {}))]
        return handle

    def read(self, handle, shape):
        made = self.add(shape)
        self.ops.append(O(READ, (handle,), (made,), (112, {})))
        return made

    def assign(self, handle, value):
        self.ops.append(O(ASSIGN, (handle, value), (), (113, {})))

    def write(self):
        graphs = []
        if self.beginning[1]:
            self.ops.insert(0, O(CALL_ONCE, (), (), options(103, 1)))
            graphs = [(*self.beginning, [], [])]
        return write_tflite(self.tensors, self.ops, self.inputs, self.outputs, graphs)


def shapes(rng):
    """(axis along which values stream, shape): with lines of 16 bytes, and without."""
    axis = int(rng.choice([1, 1, 1, 2, 0]))
    inner = int(rng.choice([16, 16, 32, 3, 5]))
    shape = [1, 1, 1, inner]
    shape[axis] = int(rng.integers(1, 6))
    if rng.random() < 0.3:
        shape[2 if axis != 2 else 1] = 2
    return axis, tuple(shape)


def delay_line(graph, name):
    """State and new values joined; the end of that is the next state. Its users come before or behind."""
    axis, shape = shapes(graph.rng)
    new = graph.given(tuple(int(graph.rng.integers(1, 3)) if i == axis else d for i, d in enumerate(shape)))
    handle = graph.variable(name, shape)
    old = graph.read(handle, shape)
    whole = graph.joined(old, graph.changed(new) if graph.rng.random() < 0.7 else new, axis)
    late = graph.rng.random() < 0.5
    if not late:
        graph.outputs.append(graph.changed(whole))
    graph.assign(handle, graph.end(whole, axis, shape[axis]))
    if late:
        graph.outputs.append(graph.changed(whole))


def ring(graph, name):
    """The end of the state, and new values: joined, they are the next state."""
    axis, shape = shapes(graph.rng)
    if shape[axis] == 1:
        shape = tuple(d + (i == axis) for i, d in enumerate(shape))
    count = int(graph.rng.integers(1, shape[axis]))
    new = graph.given(tuple(count if i == axis else d for i, d in enumerate(shape)))
    handle = graph.variable(name, shape)
    kept = graph.end(graph.read(handle, shape), axis, shape[axis] - count)
    whole = graph.joined(kept, graph.changed(new) if graph.rng.random() < 0.7 else new, axis)
    graph.assign(handle, whole)
    graph.outputs.append(graph.changed(whole) if graph.rng.random() < 0.7 else whole)


def accumulator(graph, name):
    """Old plus new; sometimes the old is needed later, or the sum is not what is kept."""
    _, shape = shapes(graph.rng)
    new = graph.given(shape)
    handle = graph.variable(name, shape)
    old = graph.read(handle, shape)
    total = graph.sum(old, new)
    graph.assign(handle, total if graph.rng.random() < 0.7 else graph.changed(total))
    graph.outputs.append(graph.changed(total))
    if graph.rng.random() < 0.4:
        graph.outputs.append(graph.changed(old) if graph.rng.random() < 0.5 else old)


def delay(graph, name):
    """Out comes what went in one run ago; sometimes what is read is read again behind the assignment."""
    _, shape = shapes(graph.rng)
    new = graph.given(shape)
    handle = graph.variable(name, shape)
    old = graph.read(handle, shape)
    kind = int(graph.rng.integers(0, 4))
    if kind == 0:
        graph.outputs.append(graph.changed(old))
    graph.assign(handle, new if kind < 2 else graph.changed(new))
    if kind:
        graph.outputs.append(graph.changed(old) if kind == 1 else old)
    if graph.rng.random() < 0.3:
        graph.outputs.append(graph.changed(graph.read(handle, shape)))


def swap(graph, name):
    """Two variables take each other's values, and one something new."""
    _, shape = shapes(graph.rng)
    new = graph.given(shape)
    left, right = graph.variable(f"{name}l", shape), graph.variable(f"{name}r", shape)
    a, b = graph.read(left, shape), graph.read(right, shape)
    graph.assign(left, b)
    graph.assign(right, graph.sum(a, new) if graph.rng.random() < 0.5 else a)
    graph.outputs.append(graph.sum(a, b))


def twice(graph, name):
    """Assigned two times in one run, the first time a constant or what it had."""
    _, shape = shapes(graph.rng)
    new = graph.given(shape)
    handle = graph.variable(name, shape)
    old = graph.read(handle, shape)
    first = old if graph.rng.random() < 0.5 else graph.add(shape, data=graph.rng.integers(-128, 128, shape))
    graph.assign(handle, first)
    middle = graph.read(handle, shape)
    graph.assign(handle, graph.sum(old, new))
    graph.outputs.append(graph.changed(middle))


KINDS = (delay_line, delay_line, ring, accumulator, delay, swap, twice)


def variables(rng):
    """One to three streams, one behind the other in one graph."""
    graph = Graph(rng, scale(rng), zero_point(rng))
    for i in range(int(rng.integers(1, 4))):
        kind = KINDS[int(rng.integers(0, len(KINDS)))]
        kind(graph, f"v{i}")
    return graph.write()


OPS = {"variables": variables}
