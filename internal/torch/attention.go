package torch

/*
#cgo noescape af_attention_causal
#cgo nocallback af_attention_causal
#include "attention.h"
#include "shim/shim.h"
*/
import "C"

import (
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Packs says whether this CPU has the kernel of [Scope.Attention]: AVX-512.
func Packs() bool { return fastLinear }

// Attention says how [Scope.Attention] scores. The zero value of a field is none of it, but for Scale.
type Attention struct {
	// Starts are where prompts begin among the tokens, and after the last of them where it ends.
	Starts     []int32
	Scale, Cap float64 // scores are q·k Scale; with Cap, Cap·tanh(score/Cap)
	Window     int     // a position sees itself and the Window−1 before it
	Bias       *Tensor // [.., W], W numbers for each of the H query heads: added to the scores of positions 0..W−1
	Sinks      *Tensor // H numbers: the score of one more key for each query head, without a value
	// PastKeys [K, C, P] and PastValues [K, P, V] are of P positions before every prompt.
	PastKeys, PastValues *Tensor
}

// Attention is causal attention, with fp32 softmax, of prompts that lie one after the other: of queries [1, H, N, C], keys
// [1, K, N, C] and values [1, K, N, V] of N tokens, F32 on a CPU that [Packs], each token seeing the past, itself and the
// tokens of its prompt before it. Consecutive query heads share a key head. No matrix of scores is written. The result is
// [1, N, H·V]; there is no gradient.
func (s *Scope) Attention(q, k, v *Tensor, a Attention) *Tensor {
	if !Packs() || s.grad {
		fail(attention, "needs a CPU with AVX-512, and gives no gradient")
	}
	c := a.describe(q, k, v)
	t := s.blank(attention, 1, int64(a.Starts[len(a.Starts)-1]), int64(c.heads*c.values))
	if !attend(t.floats(), c, a.Starts) {
		fail(attention, "no memory for the keys and values of the longest prompt")
	}
	return t
}

const attention = "Attention" // the operator's name

// describe is a for the kernel, which believes what it is told: all is checked here.
func (a Attention) describe(q, k, v *Tensor) *C.af_attention {
	c := &C.af_attention{scale: C.double(a.Scale), cap: C.double(a.Cap), window: C.int64_t(a.Window)}
	queries, keys, values := q.place(&c.q), k.place(&c.k), v.place(&c.v)
	heads, groups, tokens, width, wide := queries[1], keys[1], queries[2], queries[3], values[3]
	tokensFit := keys[2] == tokens && values[2] == tokens && tokens == a.tokens()
	if !tokensFit || keys[3] != width || values[1] != groups || groups == 0 || heads == 0 || heads%groups != 0 {
		fail(attention, "queries, keys and values do not fit each other or Starts")
	}
	c.heads, c.groups, c.width, c.values = C.int64_t(heads), C.int64_t(groups), C.int64_t(width), C.int64_t(wide)
	past := int64(0)
	if a.PastKeys != nil {
		past = a.PastKeys.Len() / max(1, groups*width)
		c.past, c.past_keys, c.past_values = C.int64_t(past), a.PastKeys.exactly(groups*width*past), a.PastValues.exactly(groups*past*wide)
	}
	if a.Bias != nil {
		each := a.Bias.Len() / heads
		if each < past+a.longest() {
			fail(attention, "Bias has fewer numbers than there are positions")
		}
		c.biases, c.bias = C.int64_t(each), a.Bias.exactly(heads*each)
	}
	if a.Sinks != nil {
		c.sinks = a.Sinks.exactly(heads)
	}
	return c
}

// tokens is how many Starts describes, and longest how many the longest prompt has.
func (a Attention) tokens() int64 {
	if len(a.Starts) < 2 || a.Starts[0] != 0 || !slices.IsSorted(a.Starts) {
		fail(attention, "Starts begins with 0, grows, and ends with the number of tokens")
	}
	return int64(a.Starts[len(a.Starts)-1])
}

func (a Attention) longest() (n int64) {
	for i := range a.Starts[1:] {
		n = max(n, int64(a.Starts[i+1]-a.Starts[i]))
	}
	return n
}

// attend cuts the prompts into equal parts, one for each thread.
func attend(z *C.float, a *C.af_attention, starts []int32) bool {
	prompts := len(starts) - 1
	parts := min(Threads(), prompts)
	var failed atomic.Bool
	part := func(i int) {
		from, to := i*prompts/parts, (i+1)*prompts/parts
		if C.af_attention_causal(z, a, (*C.int32_t)(&starts[from]), C.int64_t(to-from)) == 0 {
			failed.Store(true)
		}
	}
	var others sync.WaitGroup
	for i := range parts - 1 {
		others.Go(func() { part(i) })
	}
	part(parts - 1)
	others.Wait()
	return !failed.Load()
}

// floats is the memory of a contiguous F32 tensor on the CPU.
func (t *Tensor) floats() *C.float { return (*C.float)(unsafe.SliceData(t.Float32s())) }

// exactly is the memory of n contiguous F32 values on the CPU.
func (t *Tensor) exactly(n int64) *C.float {
	if t == nil || t.Len() != n {
		fail(attention, "Past, Bias or Sinks do not fit the heads")
	}
	return t.floats()
}

// place writes to at where t lies, and returns its shape.
func (t *Tensor) place(at *C.af_states) []int64 {
	var ok bool
	if *at, ok = t.states(attention); !ok {
		fail(attention, "wants F32 tensors [1, heads, tokens, channels] on the CPU with their channels in order")
	}
	return t.Shape()
}

// states describes x [1, heads, tokens, channels] where it lies, if it is F32 on the CPU and its channels are in order.
func (t *Tensor) states(op string) (at C.af_states, ok bool) {
	m := t.meta(op)
	if m.dtype != int64(F32) || m.device != int64(CPU) || m.dims != 4 || m.shape[0] != 1 {
		return at, false
	}
	var p unsafe.Pointer
	var strides [maxDims]int64
	check(op, C.af_strides(t.raw(op), (*C.int64_t)(&strides[0])))
	check(op, C.af_data(t.raw(op), &p))
	return C.af_states{at: (*C.float)(p), token: C.int64_t(strides[2]), head: C.int64_t(strides[1])}, strides[3] == 1 || m.shape[3] == 1
}
