package torch

import lib "github.com/sugarme/gotch/libtch"

// Sum is the sum of all elements, as a tensor without dimensions.
func (s *Scope) Sum(x *Tensor) *Tensor {
	t := new(Tensor)
	lib.AtgSum(&t.c, x.in("Sum"), none)
	return s.own("Sum", t)
}

// SumDim is the sum along dim; keep leaves the dimension with size 1.
func (s *Scope) SumDim(x *Tensor, dim int, keep bool) *Tensor {
	t := new(Tensor)
	lib.AtgSumDimIntlist(&t.c, x.in("SumDim"), []int64{int64(dim)}, 1, int32(flag(keep)), none)
	return s.own("SumDim", t)
}

// Mean is the mean of all elements, as a tensor without dimensions.
func (s *Scope) Mean(x *Tensor) *Tensor {
	t := new(Tensor)
	lib.AtgMean(&t.c, x.in("Mean"), none)
	return s.own("Mean", t)
}

// MeanDim is the mean along dim; keep leaves the dimension with size 1.
func (s *Scope) MeanDim(x *Tensor, dim int, keep bool) *Tensor {
	t := new(Tensor)
	lib.AtgMeanDim(&t.c, x.in("MeanDim"), []int64{int64(dim)}, 1, int32(flag(keep)), none)
	return s.own("MeanDim", t)
}

// VarDim is the variance along dim, over n (not n-1); keep leaves the dimension with size 1.
func (s *Scope) VarDim(x *Tensor, dim int, keep bool) *Tensor {
	t := new(Tensor)
	lib.AtgVarDim(&t.c, x.in("VarDim"), []int64{int64(dim)}, 1, 0, int32(flag(keep)))
	return s.own("VarDim", t)
}

// NormDim is the Euclidean length along dim; keep leaves the dimension with size 1.
func (s *Scope) NormDim(x *Tensor, dim int, keep bool) *Tensor {
	two := lib.AtsFloat(2)
	defer lib.AtsFree(two)
	t := new(Tensor)
	lib.AtgNormScalaroptDim(&t.c, x.in("NormDim"), two, []int64{int64(dim)}, 1, int32(flag(keep)))
	return s.own("NormDim", t)
}

// LogSumExp is ln Σ eˣ along dim, without overflow; keep leaves the dimension with size 1.
func (s *Scope) LogSumExp(x *Tensor, dim int, keep bool) *Tensor {
	t := new(Tensor)
	lib.AtgLogsumexp(&t.c, x.in("LogSumExp"), []int64{int64(dim)}, 1, int32(flag(keep)))
	return s.own("LogSumExp", t)
}

// Norm is the Euclidean length of all elements.
func (s *Scope) Norm(x *Tensor) *Tensor { return s.unary("Norm", lib.AtgNorm, x) }

// Max is the largest element.
func (s *Scope) Max(x *Tensor) *Tensor { return s.unary("Max", lib.AtgMax, x) }

// Min is the smallest element.
func (s *Scope) Min(x *Tensor) *Tensor { return s.unary("Min", lib.AtgMin, x) }

// All is true when every element is.
func (s *Scope) All(x *Tensor) *Tensor { return s.unary("All", lib.AtgAll, x) }

// Any is true when some element is.
func (s *Scope) Any(x *Tensor) *Tensor { return s.unary("Any", lib.AtgAny, x) }

// MaxDim is the largest elements along dim and their places (I64), the first of equal ones on the CPU.
func (s *Scope) MaxDim(x *Tensor, dim int, keep bool) (values, indices *Tensor) {
	return s.pair("MaxDim", func(out *lib.Ctensor) {
		lib.AtgMaxDim(out, x.in("MaxDim"), int64(dim), int32(flag(keep)))
	})
}

// MinDim is the smallest elements along dim and their places (I64), the first of equal ones on the CPU.
func (s *Scope) MinDim(x *Tensor, dim int, keep bool) (values, indices *Tensor) {
	return s.pair("MinDim", func(out *lib.Ctensor) {
		lib.AtgMinDim(out, x.in("MinDim"), int64(dim), int32(flag(keep)))
	})
}

// TopK is the k largest elements along dim, the largest first, and their places (I64). Which of equal elements
// comes first is not fixed.
func (s *Scope) TopK(x *Tensor, k int64, dim int) (values, indices *Tensor) {
	return s.pair("TopK", func(out *lib.Ctensor) {
		lib.AtgTopk(out, x.in("TopK"), k, int64(dim), 1, 1)
	})
}

// Sort is x sorted along dim, equal elements in their old order, and the old places (I64).
func (s *Scope) Sort(x *Tensor, dim int, descending bool) (values, indices *Tensor) {
	return s.pair("Sort", func(out *lib.Ctensor) {
		lib.AtgSortStable(out, x.in("Sort"), 1, int64(dim), int32(flag(descending)))
	})
}

// pair owns the two results of an operator.
func (s *Scope) pair(op string, f func(out *lib.Ctensor)) (a, b *Tensor) {
	var out [2]lib.Ctensor
	f(&out[0])
	a, b = &Tensor{c: out[0]}, &Tensor{c: out[1]}
	return s.own(op, a), s.own(op, b)
}

// ArgMax is the place (I64) of the largest element along dim.
func (s *Scope) ArgMax(x *Tensor, dim int) *Tensor {
	t := new(Tensor)
	lib.AtgArgmax(&t.c, x.in("ArgMax"), int64(dim), 0, 0)
	return s.own("ArgMax", t)
}

// ArgMin is the place (I64) of the smallest element along dim.
func (s *Scope) ArgMin(x *Tensor, dim int) *Tensor {
	t := new(Tensor)
	lib.AtgArgmin(&t.c, x.in("ArgMin"), int64(dim), 0, 0)
	return s.own("ArgMin", t)
}

// Cumsum is the running sum along dim.
func (s *Scope) Cumsum(x *Tensor, dim int) *Tensor {
	t := new(Tensor)
	lib.AtgCumsum(&t.c, x.in("Cumsum"), int64(dim), none)
	return s.own("Cumsum", t)
}

// Bincount counts how often each of 0..max(x) stands in the I64 tensor x [N]; the result has at least size elements.
func (s *Scope) Bincount(x *Tensor, size int64) *Tensor {
	t := new(Tensor)
	lib.AtgBincount(&t.c, x.in("Bincount"), nil, size)
	return s.own("Bincount", t)
}
