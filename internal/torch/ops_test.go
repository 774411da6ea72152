package torch

import (
	"math"
	"slices"
	"testing"
	"unsafe"
)

// numbers is x's elements in order.
func numbers(s *Scope, x *Tensor) []float64 {
	x = s.Contiguous(s.To(x, F64))
	b := x.Bytes()
	return slices.Clone(unsafe.Slice((*float64)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/8))
}

func near(got, want []float64) bool {
	return slices.EqualFunc(got, want, func(a, b float64) bool {
		return a == b || math.Abs(a-b) <= 1e-6*max(1, math.Abs(b)) || (math.IsNaN(a) && math.IsNaN(b))
	})
}

func each(f func(x float64) float64, xs ...float64) []float64 {
	out := make([]float64, len(xs))
	for i, x := range xs {
		out[i] = f(x)
	}
	return out
}

// in is what the operators of the table work on.
type in struct {
	*Scope
	a, b  *Tensor // [2, 3]: 1 -2 3 -4 5 -6 and 2 2 4 4 0.5 0.5
	index *Tensor // [2]: 2 0
}

func TestOperators(t *testing.T) {
	type dims = []int64
	a, b := []float64{1, -2, 3, -4, 5, -6}, []float64{2, 2, 4, 4, 0.5, 0.5}
	phi := func(x float64) float64 { return x / 2 * (1 + math.Erf(x/math.Sqrt2)) }
	phiTanh := func(x float64) float64 {
		return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	}
	sigma := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	lse := func(xs ...float64) float64 {
		sum := 0.0
		for _, x := range xs {
			sum += math.Exp(x)
		}
		return math.Log(sum)
	}
	first := func(x, _ *Tensor) *Tensor { return x }
	second := func(_, x *Tensor) *Tensor { return x }
	for name, c := range map[string]struct {
		f     func(in) *Tensor
		shape dims
		want  []float64
	}{
		"Add":        {func(s in) *Tensor { return s.Add(s.a, s.b) }, dims{2, 3}, []float64{3, 0, 7, 0, 5.5, -5.5}},
		"Minus":      {func(s in) *Tensor { return s.Minus(s.a, s.b) }, dims{2, 3}, []float64{-1, -4, -1, -8, 4.5, -6.5}},
		"Mul":        {func(s in) *Tensor { return s.Mul(s.a, s.b) }, dims{2, 3}, []float64{2, -4, 12, -16, 2.5, -3}},
		"Div":        {func(s in) *Tensor { return s.Div(s.a, s.b) }, dims{2, 3}, []float64{0.5, -1, 0.75, -1, 10, -12}},
		"Maximum":    {func(s in) *Tensor { return s.Maximum(s.a, s.b) }, dims{2, 3}, []float64{2, 2, 4, 4, 5, 0.5}},
		"Minimum":    {func(s in) *Tensor { return s.Minimum(s.a, s.b) }, dims{2, 3}, []float64{1, -2, 3, -4, 0.5, -6}},
		"Pow":        {func(s in) *Tensor { return s.Pow(s.b, s.a) }, dims{2, 3}, []float64{2, 0.25, 64, 1. / 256, 1. / 32, 64}},
		"AddScalar":  {func(s in) *Tensor { return s.AddScalar(s.a, 0.5) }, dims{2, 3}, []float64{1.5, -1.5, 3.5, -3.5, 5.5, -5.5}},
		"MulScalar":  {func(s in) *Tensor { return s.MulScalar(s.a, -2) }, dims{2, 3}, []float64{-2, 4, -6, 8, -10, 12}},
		"Clamp":      {func(s in) *Tensor { return s.Clamp(s.a, -3, 3) }, dims{2, 3}, []float64{1, -2, 3, -3, 3, -3}},
		"ClampMin":   {func(s in) *Tensor { return s.ClampMin(s.a, -3) }, dims{2, 3}, []float64{1, -2, 3, -3, 5, -3}},
		"ClampMax":   {func(s in) *Tensor { return s.ClampMax(s.a, 3) }, dims{2, 3}, []float64{1, -2, 3, -4, 3, -6}},
		"Neg":        {func(s in) *Tensor { return s.Neg(s.a) }, dims{2, 3}, []float64{-1, 2, -3, 4, -5, 6}},
		"Abs":        {func(s in) *Tensor { return s.Abs(s.a) }, dims{2, 3}, each(math.Abs, a...)},
		"Sign":       {func(s in) *Tensor { return s.Sign(s.a) }, dims{2, 3}, []float64{1, -1, 1, -1, 1, -1}},
		"Square":     {func(s in) *Tensor { return s.Square(s.a) }, dims{2, 3}, []float64{1, 4, 9, 16, 25, 36}},
		"Sqrt":       {func(s in) *Tensor { return s.Sqrt(s.b) }, dims{2, 3}, each(math.Sqrt, b...)},
		"Rsqrt":      {func(s in) *Tensor { return s.Rsqrt(s.b) }, dims{2, 3}, each(func(x float64) float64 { return 1 / math.Sqrt(x) }, b...)},
		"Reciprocal": {func(s in) *Tensor { return s.Reciprocal(s.b) }, dims{2, 3}, []float64{0.5, 0.5, 0.25, 0.25, 2, 2}},
		"Exp":        {func(s in) *Tensor { return s.Exp(s.a) }, dims{2, 3}, each(math.Exp, 1, -2, 3, -4, 5, -6)},
		"Log":        {func(s in) *Tensor { return s.Log(s.b) }, dims{2, 3}, each(math.Log, b...)},
		"Log1p":      {func(s in) *Tensor { return s.Log1p(s.b) }, dims{2, 3}, each(math.Log1p, b...)},
		"Cos":        {func(s in) *Tensor { return s.Cos(s.b) }, dims{2, 3}, each(math.Cos, b...)},
		"Sin":        {func(s in) *Tensor { return s.Sin(s.b) }, dims{2, 3}, each(math.Sin, b...)},
		"Floor":      {func(s in) *Tensor { return s.Floor(s.b) }, dims{2, 3}, []float64{2, 2, 4, 4, 0, 0}},
		"Round":      {func(s in) *Tensor { return s.Round(s.b) }, dims{2, 3}, []float64{2, 2, 4, 4, 0, 0}},

		"Linear": {func(s in) *Tensor { return s.Linear(s.a, s.b, FromFloat32(s.Scope, []float32{1, 10}, 2)) }, dims{2, 2}, []float64{11, 14.5, -21, -6.5}},
		"LinearTo": {func(s in) *Tensor {
			dst := s.Zeros(F32, CPU, 2, 2)
			s.LinearTo(dst, s.a, s.b, FromFloat32(s.Scope, []float32{1, 10}, 2))
			return dst
		}, dims{2, 2}, []float64{11, 14.5, -21, -6.5}},
		"Linear nil": {func(s in) *Tensor { return s.Linear(s.a, s.b, nil) }, dims{2, 2}, []float64{10, 4.5, -22, -16.5}},
		"MatMul":     {func(s in) *Tensor { return s.MatMul(s.a, s.Transpose(s.b, 0, 1)) }, dims{2, 2}, []float64{10, 4.5, -22, -16.5}},
		"Bmm": {func(s in) *Tensor { return s.Bmm(s.View(s.a, 2, 1, 3), s.View(s.b, 2, 3, 1)) }, dims{2, 1, 1},
			[]float64{10, -16.5}},
		"Addmm": {func(s in) *Tensor { return s.Addmm(s.Ones(F32, CPU, 2, 2), s.a, s.Transpose(s.b, 0, 1)) }, dims{2, 2}, []float64{11, 5.5, -21, -15.5}},
		"Embedding": {func(s in) *Tensor { return s.Embedding(s.View(s.a, 3, 2), s.index) }, dims{2, 2},
			[]float64{5, -6, 1, -2}},
		"LayerNorm": {func(s in) *Tensor {
			return s.LayerNorm(FromFloat32(s.Scope, []float32{1, 3}, 1, 2), FromFloat32(s.Scope, []float32{2, 3}, 2), FromFloat32(s.Scope, []float32{1, 1}, 2), 0)
		}, dims{1, 2}, []float64{-1, 4}},
		"LayerNorm nil": {func(s in) *Tensor { return s.LayerNorm(FromFloat32(s.Scope, []float32{1, 3}, 1, 2), nil, nil, 0) }, dims{1, 2}, []float64{-1, 1}},
		"Gelu":          {func(s in) *Tensor { return s.Gelu(s.a, false) }, dims{2, 3}, each(phi, 1, -2, 3, -4, 5, -6)},
		"Gelu tanh":     {func(s in) *Tensor { return s.Gelu(s.a, true) }, dims{2, 3}, each(phiTanh, 1, -2, 3, -4, 5, -6)},
		"Silu":          {func(s in) *Tensor { return s.Silu(s.a) }, dims{2, 3}, each(func(x float64) float64 { return x * sigma(x) }, 1, -2, 3, -4, 5, -6)},
		"Relu":          {func(s in) *Tensor { return s.Relu(s.a) }, dims{2, 3}, []float64{1, 0, 3, 0, 5, 0}},
		"Sigmoid":       {func(s in) *Tensor { return s.Sigmoid(s.a) }, dims{2, 3}, each(sigma, 1, -2, 3, -4, 5, -6)},
		"Tanh":          {func(s in) *Tensor { return s.Tanh(s.a) }, dims{2, 3}, each(math.Tanh, 1, -2, 3, -4, 5, -6)},
		"Softplus":      {func(s in) *Tensor { return s.Softplus(s.a) }, dims{2, 3}, each(func(x float64) float64 { return math.Log1p(math.Exp(x)) }, 1, -2, 3, -4, 5, -6)},
		"Softmax":       {func(s in) *Tensor { return s.Softmax(s.a, 0) }, dims{2, 3}, each(sigma, 5, -7, 9, -5, 7, -9)},
		"LogSoftmax":    {func(s in) *Tensor { return s.LogSoftmax(s.a, -1) }, dims{2, 3}, shift(a, lse(1, -2, 3), lse(-4, 5, -6))},

		"View":       {func(s in) *Tensor { return s.View(s.a, 3, -1) }, dims{3, 2}, a},
		"View 0d":    {func(s in) *Tensor { return s.View(s.Ones(F32, CPU, 1)) }, dims{}, []float64{1}},
		"Reshape":    {func(s in) *Tensor { return s.Reshape(s.Transpose(s.a, 0, 1), 6) }, dims{6}, []float64{1, -4, -2, 5, 3, -6}},
		"Expand":     {func(s in) *Tensor { return s.Expand(s.View(s.index, 2, 1), -1, 2) }, dims{2, 2}, []float64{2, 2, 0, 0}},
		"Transpose":  {func(s in) *Tensor { return s.Transpose(s.a, 0, -1) }, dims{3, 2}, []float64{1, -4, -2, 5, 3, -6}},
		"Permute":    {func(s in) *Tensor { return s.Permute(s.View(s.a, 1, 2, 3), 2, 0, 1) }, dims{3, 1, 2}, []float64{1, -4, -2, 5, 3, -6}},
		"Unsqueeze":  {func(s in) *Tensor { return s.Unsqueeze(s.a, 1) }, dims{2, 1, 3}, a},
		"Squeeze":    {func(s in) *Tensor { return s.Squeeze(s.View(s.a, 1, 6), 0) }, dims{6}, a},
		"Narrow":     {func(s in) *Tensor { return s.Narrow(s.a, 1, 1, 2) }, dims{2, 2}, []float64{-2, 3, 5, -6}},
		"Cat":        {func(s in) *Tensor { return s.Cat([]*Tensor{s.a, s.b}, 0) }, dims{4, 3}, append(slices.Clone(a), b...)},
		"Stack":      {func(s in) *Tensor { return s.Stack([]*Tensor{s.a, s.b}, 0) }, dims{2, 2, 3}, append(slices.Clone(a), b...)},
		"Contiguous": {func(s in) *Tensor { return s.Contiguous(s.Transpose(s.a, 0, 1)) }, dims{3, 2}, []float64{1, -4, -2, 5, 3, -6}},
		"Clone":      {func(s in) *Tensor { return s.Clone(s.a) }, dims{2, 3}, a},
		"Detach":     {func(s in) *Tensor { return s.Detach(s.a) }, dims{2, 3}, a},
		"To":         {func(s in) *Tensor { return s.To(s.b, I32) }, dims{2, 3}, []float64{2, 2, 4, 4, 0, 0}},
		"ToDevice":   {func(s in) *Tensor { return s.ToDevice(s.a, CPU) }, dims{2, 3}, a},
		"Tril":       {func(s in) *Tensor { return s.Tril(s.a, 0) }, dims{2, 3}, []float64{1, 0, 0, -4, 5, 0}},
		"Triu":       {func(s in) *Tensor { return s.Triu(s.a, 1) }, dims{2, 3}, []float64{0, -2, 3, 0, 0, -6}},

		"Sum":       {func(s in) *Tensor { return s.Sum(s.a) }, dims{}, []float64{-3}},
		"SumDim":    {func(s in) *Tensor { return s.SumDim(s.a, 0, false) }, dims{3}, []float64{-3, 3, -3}},
		"SumDim k":  {func(s in) *Tensor { return s.SumDim(s.a, 1, true) }, dims{2, 1}, []float64{2, -5}},
		"Mean":      {func(s in) *Tensor { return s.Mean(s.a) }, dims{}, []float64{-0.5}},
		"MeanDim":   {func(s in) *Tensor { return s.MeanDim(s.a, -1, true) }, dims{2, 1}, []float64{2. / 3, -5. / 3}},
		"VarDim":    {func(s in) *Tensor { return s.VarDim(s.a, 0, false) }, dims{3}, []float64{6.25, 12.25, 20.25}},
		"NormDim":   {func(s in) *Tensor { return s.NormDim(s.a, 1, false) }, dims{2}, each(math.Sqrt, 14, 77)},
		"LogSumExp": {func(s in) *Tensor { return s.LogSumExp(s.a, 1, false) }, dims{2}, []float64{lse(1, -2, 3), lse(-4, 5, -6)}},
		"Norm":      {func(s in) *Tensor { return s.Norm(s.a) }, dims{}, []float64{math.Sqrt(91)}},
		"Max":       {func(s in) *Tensor { return s.Max(s.a) }, dims{}, []float64{5}},
		"Min":       {func(s in) *Tensor { return s.Min(s.a) }, dims{}, []float64{-6}},
		"All":       {func(s in) *Tensor { return s.All(s.GtScalar(s.a, 0)) }, dims{}, []float64{0}},
		"Any":       {func(s in) *Tensor { return s.Any(s.GtScalar(s.a, 0)) }, dims{}, []float64{1}},
		"MaxDim v":  {func(s in) *Tensor { return first(s.MaxDim(s.a, 1, false)) }, dims{2}, []float64{3, 5}},
		"MaxDim i":  {func(s in) *Tensor { return second(s.MaxDim(s.a, 1, true)) }, dims{2, 1}, []float64{2, 1}},
		"MinDim v":  {func(s in) *Tensor { return first(s.MinDim(s.a, 0, false)) }, dims{3}, []float64{-4, -2, -6}},
		"MinDim i":  {func(s in) *Tensor { return second(s.MinDim(s.a, 0, false)) }, dims{3}, []float64{1, 0, 1}},
		"TopK v":    {func(s in) *Tensor { return first(s.TopK(s.a, 2, -1)) }, dims{2, 2}, []float64{3, 1, 5, -4}},
		"TopK i":    {func(s in) *Tensor { return second(s.TopK(s.a, 2, -1)) }, dims{2, 2}, []float64{2, 0, 1, 0}},
		"Sort v":    {func(s in) *Tensor { return first(s.Sort(s.b, 1, true)) }, dims{2, 3}, []float64{4, 2, 2, 4, 0.5, 0.5}},
		"Sort i":    {func(s in) *Tensor { return second(s.Sort(s.b, 1, false)) }, dims{2, 3}, []float64{0, 1, 2, 1, 2, 0}},
		"ArgMax":    {func(s in) *Tensor { return s.ArgMax(s.a, 1) }, dims{2}, []float64{2, 1}},
		"ArgMin":    {func(s in) *Tensor { return s.ArgMin(s.a, 0) }, dims{3}, []float64{1, 0, 1}},
		"Cumsum":    {func(s in) *Tensor { return s.Cumsum(s.a, 1) }, dims{2, 3}, []float64{1, -1, 2, -4, 1, -5}},
		"Bincount":  {func(s in) *Tensor { return s.Bincount(s.index, 5) }, dims{5}, []float64{1, 0, 1, 0, 0}},

		"IndexSelect": {func(s in) *Tensor { return s.IndexSelect(s.a, 1, s.index) }, dims{2, 2}, []float64{3, 1, -6, -4}},
		"Gather":      {func(s in) *Tensor { return s.Gather(s.a, 1, s.View(s.index, 2, 1)) }, dims{2, 1}, []float64{3, -4}},
		"Scatter":     {func(s in) *Tensor { return s.Scatter(s.a, 1, s.View(s.index, 2, 1), s.b) }, dims{2, 3}, []float64{1, -2, 2, 4, 5, -6}},
		"ScatterAdd":  {func(s in) *Tensor { return s.ScatterAdd(s.a, 1, s.View(s.index, 2, 1), s.b) }, dims{2, 3}, []float64{1, -2, 5, 0, 5, -6}},
		"IndexAdd": {func(s in) *Tensor { return s.IndexAdd(s.a, 1, s.index, s.Ones(F32, CPU, 2, 2)) }, dims{2, 3},
			[]float64{2, -2, 4, -3, 5, -5}},
		"OneHot":       {func(s in) *Tensor { return s.OneHot(s.index, 3) }, dims{2, 3}, []float64{0, 0, 1, 1, 0, 0}},
		"Nonzero":      {func(s in) *Tensor { return s.Nonzero(s.index) }, dims{1, 1}, []float64{0}},
		"MaskedSelect": {func(s in) *Tensor { return s.MaskedSelect(s.a, s.Gt(s.a, s.b)) }, dims{1}, []float64{5}},
		"MaskedFill":   {func(s in) *Tensor { return s.MaskedFill(s.a, s.LtScalar(s.a, 0), 9) }, dims{2, 3}, []float64{1, 9, 3, 9, 5, 9}},
		"Where":        {func(s in) *Tensor { return s.Where(s.Gt(s.a, s.b), s.a, s.b) }, dims{2, 3}, []float64{2, 2, 4, 4, 5, 0.5}},

		"Gt":       {func(s in) *Tensor { return s.Gt(s.a, s.b) }, dims{2, 3}, []float64{0, 0, 0, 0, 1, 0}},
		"Ge":       {func(s in) *Tensor { return s.Ge(s.a, s.a) }, dims{2, 3}, []float64{1, 1, 1, 1, 1, 1}},
		"Lt":       {func(s in) *Tensor { return s.Lt(s.a, s.b) }, dims{2, 3}, []float64{1, 1, 1, 1, 0, 1}},
		"Le":       {func(s in) *Tensor { return s.Le(s.a, s.a) }, dims{2, 3}, []float64{1, 1, 1, 1, 1, 1}},
		"Eq":       {func(s in) *Tensor { return s.Eq(s.a, s.b) }, dims{2, 3}, make([]float64, 6)},
		"Ne":       {func(s in) *Tensor { return s.Ne(s.a, s.b) }, dims{2, 3}, []float64{1, 1, 1, 1, 1, 1}},
		"LtScalar": {func(s in) *Tensor { return s.LtScalar(s.a, 1) }, dims{2, 3}, []float64{0, 1, 0, 1, 0, 1}},
		"LeScalar": {func(s in) *Tensor { return s.LeScalar(s.a, 1) }, dims{2, 3}, []float64{1, 1, 0, 1, 0, 1}},
		"GtScalar": {func(s in) *Tensor { return s.GtScalar(s.a, 1) }, dims{2, 3}, []float64{0, 0, 1, 0, 1, 0}},
		"GeScalar": {func(s in) *Tensor { return s.GeScalar(s.a, 1) }, dims{2, 3}, []float64{1, 0, 1, 0, 1, 0}},
		"EqScalar": {func(s in) *Tensor { return s.EqScalar(s.a, 1) }, dims{2, 3}, []float64{1, 0, 0, 0, 0, 0}},
		"NeScalar": {func(s in) *Tensor { return s.NeScalar(s.a, 1) }, dims{2, 3}, []float64{0, 1, 1, 1, 1, 1}},
		"Isfinite": {func(s in) *Tensor { return s.Isfinite(s.Log(s.a)) }, dims{2, 3}, []float64{1, 0, 1, 0, 1, 0}},
		"And":      {func(s in) *Tensor { return s.And(s.GtScalar(s.a, 1), s.LtScalar(s.a, 4)) }, dims{2, 3}, []float64{0, 0, 1, 0, 0, 0}},
		"Or":       {func(s in) *Tensor { return s.Or(s.GtScalar(s.a, 4), s.LtScalar(s.a, -4)) }, dims{2, 3}, []float64{0, 0, 0, 0, 1, 1}},
		"Not":      {func(s in) *Tensor { return s.Not(s.GtScalar(s.a, 1)) }, dims{2, 3}, []float64{1, 1, 0, 1, 0, 1}},

		"Zeros":     {func(s in) *Tensor { return s.Zeros(F16, CPU, 2) }, dims{2}, []float64{0, 0}},
		"Ones":      {func(s in) *Tensor { return s.Ones(BF16, CPU, 2) }, dims{2}, []float64{1, 1}},
		"Full":      {func(s in) *Tensor { return s.Full(2.5, F64, CPU, 2) }, dims{2}, []float64{2.5, 2.5}},
		"Eye":       {func(s in) *Tensor { return s.Eye(2, F32, CPU) }, dims{2, 2}, []float64{1, 0, 0, 1}},
		"Arange":    {func(s in) *Tensor { return s.Arange(2, 5, I64, CPU) }, dims{3}, []float64{2, 3, 4}},
		"Arange f":  {func(s in) *Tensor { return s.Arange(2, 5, F32, CPU) }, dims{3}, []float64{2, 3, 4}},
		"FromInt32": {func(s in) *Tensor { return FromInt32(s.Scope, []int32{7, 8}, 2) }, dims{2}, []float64{7, 8}},
		"FromBools": {func(s in) *Tensor { return FromBools(s.Scope, []bool{true, false}, 2) }, dims{2}, []float64{1, 0}},

		"CopyTo":      {inPlace(func(s *Scope, x, y *Tensor) { s.CopyTo(x, y) }), dims{2}, []float64{10, 20}},
		"AddTo":       {inPlace(func(s *Scope, x, y *Tensor) { s.AddTo(x, y, 0.5) }), dims{2}, []float64{6, 12}},
		"MulScalarTo": {inPlace(func(s *Scope, x, y *Tensor) { s.MulScalarTo(x, 3) }), dims{2}, []float64{3, 6}},
		"ZeroTo":      {inPlace(func(s *Scope, x, y *Tensor) { s.ZeroTo(x) }), dims{2}, []float64{0, 0}},
		"FillTo":      {inPlace(func(s *Scope, x, y *Tensor) { s.FillTo(x, 4) }), dims{2}, []float64{4, 4}},
		"LerpTo":      {inPlace(func(s *Scope, x, y *Tensor) { s.LerpTo(x, y, 0.25) }), dims{2}, []float64{3.25, 6.5}},
		"AddcmulTo":   {inPlace(func(s *Scope, x, y *Tensor) { s.AddcmulTo(x, y, y, 2) }), dims{2}, []float64{201, 802}},
		"AddcdivTo":   {inPlace(func(s *Scope, x, y *Tensor) { s.AddcdivTo(x, y, y, 2) }), dims{2}, []float64{3, 4}},
		"IndexCopyTo": {inPlace(func(s *Scope, x, y *Tensor) { s.IndexCopyTo(x, 0, FromInt64(s, []int64{1, 0}, 2), y) }), dims{2}, []float64{20, 10}},
		"IndexAddTo":  {inPlace(func(s *Scope, x, y *Tensor) { s.IndexAddTo(x, 0, FromInt64(s, []int64{1, 1}, 2), y) }), dims{2}, []float64{1, 32}},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(s *Scope) {
				i := in{s, FromFloat32(s, []float32{1, -2, 3, -4, 5, -6}, 2, 3), FromFloat32(s, []float32{2, 2, 4, 4, 0.5, 0.5}, 2, 3), FromInt64(s, []int64{2, 0}, 2)}
				got := c.f(i)
				if values := numbers(s, got); !slices.Equal(got.Shape(), c.shape) || !near(values, c.want) {
					t.Errorf("%v %v, want %v %v", got.Shape(), values, c.shape, c.want)
				}
			})
		})
	}
}

// shift is the rows of 3 numbers less one number each.
func shift(rows []float64, by ...float64) (out []float64) {
	for i, x := range rows {
		out = append(out, x-by[i/3])
	}
	return out
}

// inPlace runs f on x = 1 2 and y = 10 20 and gives x.
func inPlace(f func(s *Scope, x, y *Tensor)) func(in) *Tensor {
	return func(i in) *Tensor {
		s := i.Scope
		x, y := FromFloat32(s, []float32{1, 2}, 2), FromFloat32(s, []float32{10, 20}, 2)
		f(s, x, y)
		return x
	}
}
