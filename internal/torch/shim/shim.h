// shim.h declares what libtch.so has beside gotch's operators: scopes, errors without thread-local state,
// memory in and out, in-place operators with a factor, devices. Every function that can fail returns
// NULL when it worked, else a message that the caller frees.
#ifndef ACTFLEET_SHIM_H
#define ACTFLEET_SHIM_H
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// scope
int af_enter(int grad, int threads); // sets autograd and the thread count of this OS thread; returns the old grad mode
void af_grad(int grad);
void af_free(void **tensors, int n);
char *af_last_error(void); // gotch's, of this OS thread, and forgets it; NULL when there is none

// description: out receives dtype, device (-1 CPU, n CUDA n), contiguous, requires_grad, dims, then the shape
char *af_meta(void *t, int64_t *out, int max_dims);
char *af_strides(void *t, int64_t *out); // one for each dimension
char *af_item(void *t, double *out);
char *af_data(void *t, void **out);

// creation
char *af_wrap(void **out, void *data, int64_t *dims, int ndims, int dtype);
char *af_from(void **out, const void *data, int64_t *dims, int ndims, int dtype);
char *af_randn(void **out, int64_t seed, int64_t *dims, int ndims);
char *af_rand(void **out, int64_t seed, int64_t *dims, int ndims);
char *af_randperm(void **out, int64_t seed, int64_t n);

// what gotch lacks, leaks (its Gelu a string per call) or makes a heap object for (plain numbers)
char *af_add_scalar(void **out, void *a, double v);
char *af_mul_scalar(void **out, void *a, double v);
char *af_compare(void **out, void *a, double v, int op); // 0 <, 1 <=, 2 >, 3 >=, 4 ==, 5 !=
char *af_gelu(void **out, void *a, int tanh);
char *af_clone(void **out, void *a);
char *af_masked_fill(void **out, void *a, void *mask, double v);
char *af_clamp(void **out, void *a, double lo, double hi); // NaN: no bound
char *af_empty(void **out, int64_t *dims, int ndims); // F32 on the CPU, its values whatever the memory holds
char *af_full(void **out, double v, int dtype, int device, int64_t *dims, int ndims);
char *af_arange(void **out, double from, double to, double step, int dtype, int device);

// bags: sums of few rows of a matrix, as bag.go says
char *af_bag(void **out, void *w, void *index, void *first, void *row_of, void *weights);
char *af_bag_dots(void **out, void *rows, void *w, void *index, void *first, void *row_of);
char *af_bag_grad(void **out, void *rows, void *index, void *row_of, void *weights, int64_t n);

// in place
char *af_add_to(void *dst, void *src, double alpha);
char *af_mul_scalar_to(void *dst, double v);
char *af_fill_to(void *dst, double v);
char *af_lerp_to(void *dst, void *end, double weight);
char *af_addcmul_to(void *dst, void *a, void *b, double v);
char *af_addcdiv_to(void *dst, void *a, void *b, double v);

// autograd
char *af_param(void *t);
char *af_grad_of(void **out, void *t); // *out stays NULL where there is no gradient
char *af_zero_grad(void **tensors, int n);

// machine
void af_seed(int64_t seed);
int af_threads(void);
char *af_version(void);
char *af_blas(void); // what does the matrix products, for people

// CUDA: the first of these calls opens libtorch_cuda.so
int af_cuda(void);        // number of devices
char *af_cuda_why(void);  // why there are none; NULL where there is one
void af_cuda_versions(int *runtime, int *driver);              // of CUDA, 13000 for 13.0; 0: unknown. driver: what it supports
char *af_cuda_device(int device, char **name, int64_t *out);   // out: bytes, free bytes, capability (2 numbers), multiprocessors

void af_cuda_tf32(int on); // whether fp32 products may be rounded to TF32

// streams of a GPU; what is said of "the current stream" is of a device and of this OS thread
char *af_stream(int device, int64_t *id);      // one beside that of the operators
char *af_stream_swap(int device, int64_t *id); // makes it the current one; *id becomes the old one's
char *af_event_record(void **event, int device); // what the current stream has now; makes the event where it is NULL
char *af_event_block(void *event, int device);   // the current stream goes on after it
char *af_event_wait(void *event);                // so does the caller
void af_event_free(void *event);
char *af_copy_later(void *dst, void *src);      // on the current stream; one of the two in pinned memory
char *af_keep_on_stream(void *t);               // t's memory is not used anew before the current stream is done with it
char *af_pinned(void **out, int64_t *dims, int ndims, int dtype); // not initialised

// The same small addition n times, in C++: what an operation costs without Go.
char *af_loop_add(void *a, void *b, int64_t n);

#ifdef __cplusplus
}
#endif
#endif
