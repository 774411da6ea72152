// bags.cpp: sums of few rows of a matrix, and their gradients. See shim.h.
#include "shim.h"
#include "protect.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The tensors of sizes and maxima are for bags that are not sums: any whole numbers stand in their place.
Tensor matrix_gradient(const Tensor &rows, const Tensor &index, const Tensor &row_of, const Tensor &weights, int64_t n) {
  return at::_embedding_bag_dense_backward(rows, index, row_of, row_of, row_of, n, false, 0, weights);
}

// libtorch's own gradient of embedding_bag has to find the rows of the entries again, which are known here.
struct Bag : torch::autograd::Function<Bag> {
  static Tensor forward(AutogradContext *ctx, const Tensor &w, const Tensor &index, const Tensor &first, const Tensor &row_of, const Tensor &weights) {
    ctx->save_for_backward({w, index, first, row_of, weights});
    return std::get<0>(at::_embedding_bag(w, index, first, false, 0, false, weights));
  }
  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    variable_list v = ctx->get_saved_variables();
    Tensor g = grads[0].contiguous();
    Tensor of_w = v[0].requires_grad() ? matrix_gradient(g, v[1], v[3], v[4], v[0].size(0)) : Tensor();
    return {of_w, Tensor(), Tensor(), Tensor(), at::_embedding_bag_per_sample_weights_backward(g, v[0], v[1], v[2], v[3], 0)};
  }
};

} // namespace

char *af_bag(void **out, void *w, void *index, void *first, void *row_of, void *weights) {
  PROTECTED(give(out, Bag::apply(T(w), T(index), T(first), T(row_of), T(weights)));)
}

char *af_bag_dots(void **out, void *rows, void *w, void *index, void *first, void *row_of) {
  PROTECTED(give(out, at::_embedding_bag_per_sample_weights_backward(T(rows).contiguous(), T(w), T(index), T(first), T(row_of), 0));)
}

char *af_bag_grad(void **out, void *rows, void *index, void *row_of, void *weights, int64_t n) {
  PROTECTED(give(out, matrix_gradient(T(rows), T(index), T(row_of), T(weights), n));)
}
