// The kernels of products.hpp and rows.hpp as foreign functions of XLA.
#include "products.hpp"
#include "rows.hpp"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;
using In = ffi::AnyBuffer;
using Out = ffi::Result<ffi::AnyBuffer>;

template <class T>
static void run(const cortexspec::Product &p, In &a, In &b, Out &out) {
    cortexspec::products<T>(p, static_cast<T *>(a.untyped_data()), static_cast<T *>(b.untyped_data()),
                            static_cast<T *>(out->untyped_data()));
}

static ffi::Error products(In a, In b, Out out, bool flip_a, bool flip_b) {
    const auto left = a.dimensions(), right = b.dimensions();
    const int64_t rank = static_cast<int64_t>(left.size());
    cortexspec::Product p{1, left[rank - 2], left[rank - 1], right[rank - 1], flip_a, flip_b};
    if (flip_a) std::swap(p.rows, p.terms);
    if (flip_b) p.columns = right[rank - 2];
    for (int64_t i = 0; i < rank - 2; ++i) p.count *= left[i];
    if (a.element_type() == ffi::F32)
        run<float>(p, a, b, out);
    else if (a.element_type() == ffi::F64)
        run<double>(p, a, b, out);
    else
        return ffi::Error::InvalidArgument("products are made in single or double precision");
    return ffi::Error::Success();
}

template <class T, class I>
static void run_rows(const cortexspec::Table &s, In &weight, In &index, In &x, In &flow, Out &by_weight, Out &by_x) {
    cortexspec::rows_flow<T, I>(s, static_cast<T *>(weight.untyped_data()), static_cast<I *>(index.untyped_data()),
                                static_cast<T *>(x.untyped_data()), static_cast<T *>(flow.untyped_data()),
                                static_cast<T *>(by_weight->untyped_data()), static_cast<T *>(by_x->untyped_data()));
}

static ffi::Error rows_flow(In weight, In index, In x, In flow, Out by_weight, Out by_x) {
    const auto table = weight.dimensions();
    const int64_t sources = x.dimensions()[0];
    const cortexspec::Table s{table[0], table[1], sources, sources ? static_cast<int64_t>(x.element_count()) / sources : 0};
    const bool wide = index.element_type() == ffi::S64;
    if (x.element_type() == ffi::F32)
        (wide ? run_rows<float, int64_t> : run_rows<float, int32_t>)(s, weight, index, x, flow, by_weight, by_x);
    else if (x.element_type() == ffi::F64)
        (wide ? run_rows<double, int64_t> : run_rows<double, int32_t>)(s, weight, index, x, flow, by_weight, by_x);
    else
        return ffi::Error::InvalidArgument("rows are added in single or double precision");
    return ffi::Error::Success();
}

XLA_FFI_DEFINE_HANDLER_SYMBOL(xla_products, products,
                              ffi::Ffi::Bind().Arg<In>().Arg<In>().Ret<ffi::AnyBuffer>().Attr<bool>("flip_a").Attr<bool>("flip_b"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(xla_rows_flow, rows_flow,
                              ffi::Ffi::Bind().Arg<In>().Arg<In>().Arg<In>().Arg<In>().Ret<ffi::AnyBuffer>().Ret<ffi::AnyBuffer>());
