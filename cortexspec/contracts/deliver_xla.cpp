// The kernels of deliver.hpp as XLA's foreign functions: one handler an operation, for all types.
#include <cstring>

#include "deliver.hpp"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;
using cortexspec::Sizes;
using In = ffi::AnyBuffer;
using Out = ffi::Result<ffi::AnyBuffer>;

template <class T, class B>
static T *data(B &buffer) {
    return static_cast<T *>(buffer.untyped_data());
}

// Calls `run` with the types of the numbers and of the indices.
template <class Run>
static ffi::Error by_type(const In &numbers, const In &indices, Run run) {
    const bool wide = indices.element_type() == ffi::S64;
    if (numbers.element_type() == ffi::F32)
        wide ? run(float(), int64_t()) : run(float(), int32_t());
    else if (numbers.element_type() == ffi::F64)
        wide ? run(double(), int64_t()) : run(double(), int32_t());
    else
        return ffi::Error::InvalidArgument("events are delivered in single or double precision");
    return ffi::Error::Success();
}

static ffi::Error deliver(In z, In rows, In target, In weight, In ring, In now, In delay, Out out, int64_t posts, int64_t slots,
                          int64_t width, int64_t per, int64_t steps) {
    const Sizes s{static_cast<int64_t>(rows.element_count()) - 1, posts, slots, width, per, steps};
    if (out->untyped_data() != ring.untyped_data()) std::memcpy(out->untyped_data(), ring.untyped_data(), ring.size_bytes());
    return by_type(z, target, [&](auto t, auto i) {
        using T = decltype(t);
        using I = decltype(i);
        cortexspec::deliver<T, I>(s, data<T>(z), data<I>(rows), data<I>(target), data<T>(weight), data<I>(now), data<I>(delay),
                                  data<T>(*out));
    });
}

static ffi::Error collect(In rows, In target, In weight, In ring, In now, In delay, In reached, Out out, int64_t posts, int64_t slots,
                          int64_t width, int64_t per, int64_t steps) {
    const Sizes s{static_cast<int64_t>(rows.element_count()) - 1, posts, slots, width, per, steps};
    return by_type(ring, target, [&](auto t, auto i) {
        using T = decltype(t);
        using I = decltype(i);
        cortexspec::collect<T, I>(s, data<I>(rows), data<I>(target), data<T>(weight), data<T>(ring), data<I>(now), data<I>(delay),
                                  reached.element_count() ? data<T>(reached) : nullptr, data<T>(*out));
    });
}

static ffi::Error per_edge(In z, In rows, In target, In ring, In now, In delay, Out out, int64_t posts, int64_t slots, int64_t width,
                           int64_t per, int64_t steps) {
    const Sizes s{static_cast<int64_t>(rows.element_count()) - 1, posts, slots, width, per, steps};
    return by_type(z, target, [&](auto t, auto i) {
        using T = decltype(t);
        using I = decltype(i);
        cortexspec::per_edge<T, I>(s, data<T>(z), data<I>(rows), data<I>(target), data<T>(ring), data<I>(now), data<I>(delay),
                                   data<T>(*out));
    });
}

#define ATTRIBUTES .Attr<int64_t>("posts").Attr<int64_t>("slots").Attr<int64_t>("width").Attr<int64_t>("per").Attr<int64_t>("steps")

XLA_FFI_DEFINE_HANDLER_SYMBOL(xla_deliver, deliver,
                              ffi::Ffi::Bind().Arg<In>().Arg<In>().Arg<In>().Arg<In>().Arg<In>().Arg<In>().Arg<In>()
                                  .Ret<ffi::AnyBuffer>() ATTRIBUTES);
XLA_FFI_DEFINE_HANDLER_SYMBOL(xla_collect, collect,
                              ffi::Ffi::Bind().Arg<In>().Arg<In>().Arg<In>().Arg<In>().Arg<In>().Arg<In>().Arg<In>()
                                  .Ret<ffi::AnyBuffer>() ATTRIBUTES);
XLA_FFI_DEFINE_HANDLER_SYMBOL(xla_per_edge, per_edge,
                              ffi::Ffi::Bind().Arg<In>().Arg<In>().Arg<In>().Arg<In>().Arg<In>().Arg<In>()
                                  .Ret<ffi::AnyBuffer>() ATTRIBUTES);
