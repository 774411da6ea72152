package torch

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

// packed is what a packing path gives.
type packed struct {
	bytes []byte
	sums  []float64 // of each row
	Packed
}

// row packs src as one row.
func (p *packed) row(src []float32, pack func(m *Packed, dst []byte, src []float32, stride, width int, index []int32, sums []float64)) {
	one := min(len(src), 1)
	p.sums = make([]float64, one)
	pack(&p.Packed, p.bytes, src, len(src), len(src), []int32{0}[:one], p.sums)
}

func packF16(src []float32, fast bool) (p packed) {
	defer setFastPack(setFastPack(fast))
	p.bytes = make([]byte, 2*len(src))
	p.row(src, (*Packed).RowsF16)
	return p
}

// referenceF16 packs one row in slow, readable Go: every fp16 value is tried by arithmetic on float64.
func referenceF16(src []float32) packed {
	p := packed{bytes: []byte{}}
	var lanes [8]float64
	largestSource, largestStored := 0.0, 0.0
	for i, x := range src {
		h := toHalf(x)
		p.bytes = binary.LittleEndian.AppendUint16(p.bytes, h)
		f := float64(x)
		if math.IsNaN(f) || math.IsInf(f, 0) {
			p.NonFinite++
			continue
		}
		largestSource = max(largestSource, math.Abs(f))
		if h&0x7c00 == 0x7c00 {
			p.Overflow++
			continue
		}
		y := fromHalf(h)
		largestStored = max(largestStored, math.Abs(y))
		lanes[i%8] += y * y
	}
	p.sums = sumOf(lanes, len(src))
	p.MaxAbs = largestStored
	if p.Overflow > 0 {
		p.MaxAbs = largestSource
	}
	return p
}

// sumOf is a row's sum; a row without values is none.
func sumOf(lanes [8]float64, values int) []float64 {
	var sum float64
	for _, lane := range lanes {
		sum += lane
	}
	return []float64{sum}[:min(values, 1)]
}

func fromHalf(h uint16) float64 {
	exp, m := int(h>>10&31), float64(h&0x3ff)
	y := math.Ldexp(1+m/1024, exp-15)
	if exp == 0 {
		y = math.Ldexp(m, -24)
	}
	return math.Copysign(y, 1-2*float64(h>>15))
}

// toHalf rounds in units of fp16's last place, 2^(exponent-10) and at least 2^-24.
func toHalf(x float32) uint16 {
	b := math.Float32bits(x)
	sign := uint16(b >> 16 & 0x8000)
	f := math.Abs(float64(x))
	switch {
	case math.IsNaN(f):
		return sign | 0x7e00 | uint16(b>>13&0x3ff)
	case f == 0:
		return sign
	case f >= 65520:
		return sign | 0x7c00
	}
	_, e := math.Frexp(f)
	unit := max(e-11, -24)
	m := uint16(math.RoundToEven(math.Ldexp(f, -unit))) // 1024..2048, or less below 2^-14
	// An exponent field of 1 means units of 2^-24 too; a carry to 2048 moves into the exponent by itself.
	return sign | (uint16(unit+24)<<10 + m)
}

func comparePacked(t interface{ Errorf(string, ...any) }, what string, got, want packed) {
	if !bytes.Equal(got.bytes, want.bytes) {
		for i := 0; i < len(want.bytes); i += 2 {
			if !bytes.Equal(got.bytes[i:i+2], want.bytes[i:i+2]) {
				t.Errorf("%s: value %d is %x, want %x", what, i/2, got.bytes[i:i+2], want.bytes[i:i+2])
				return
			}
		}
	}
	if got.Packed != want.Packed || !slices.Equal(got.sums, want.sums) {
		t.Errorf("%s: %+v %v, want %+v %v", what, got.Packed, got.sums, want.Packed, want.sums)
	}
}

// corners are values where rounding to fp16 changes its mind, and those around them.
func corners() (out []float32) {
	nan := math.Float32frombits
	for _, x := range []float32{0, 1, 65504, 65519.996, 65520, 65536, 1e30, math.MaxFloat32, 0x1p-14, 0x1p-24, 0x1p-25, 0x1p-26, 1.5 * 0x1p-24,
		0x1p-126, 0x1p-149, 2049, 2051, 0x1.ffcp-15, 0x1.ffep-15, float32(math.Inf(1)), nan(0x7fc00000), nan(0x7f800001), nan(0x7fbfe000), nan(0x7fffffff)} {
		b := math.Float32bits(x)
		for _, near := range []uint32{b, b + 1, b - 1} {
			out = append(out, nan(near&0x7fffffff), nan(near|0x80000000))
		}
	}
	return out
}

func TestPackF16Corners(t *testing.T) {
	values := corners()
	for start := range 9 { // every corner at every place of the eight
		src := values[start:]
		want := referenceF16(src)
		comparePacked(t, "fast", packF16(src, true), want)
		comparePacked(t, "plain", packF16(src, false), want)
	}
}

func TestPackF16EveryHalf(t *testing.T) {
	src := make([]float32, 0, 3*65536)
	for h := range 65536 {
		y := float32(fromHalf(uint16(h)))
		if h&0x7c00 == 0x7c00 {
			y = math.Float32frombits(uint32(h&0x8000)<<16 | 0x7f800000 | uint32(h&0x3ff)<<13)
		}
		b := math.Float32bits(y)
		src = append(src, y, math.Float32frombits(b+0x1000), math.Float32frombits(b+0x0fff)) // itself, the tie above, just below it
	}
	want := referenceF16(src)
	comparePacked(t, "fast", packF16(src, true), want)
	comparePacked(t, "plain", packF16(src, false), want)
}

func TestPackF16Property(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.SliceOfN(rapid.Uint32(), 0, 100).Draw(t, "bits")
		src := unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(bits))), len(bits))
		want := referenceF16(src)
		comparePacked(t, "fast", packF16(src, true), want)
		comparePacked(t, "plain", packF16(src, false), want)
	})
}

func FuzzPackF16(f *testing.F) {
	f.Add([]byte{0, 0, 128, 127, 0, 0, 192, 255, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, data []byte) {
		src := make([]float32, len(data)/4)
		for i := range src {
			src[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		}
		want := referenceF16(src)
		comparePacked(t, "fast", packF16(src, true), want)
		comparePacked(t, "plain", packF16(src, false), want)
	})
}

// normals are n numbers like activations, a few of them large.
func normals(n int) []float32 {
	rng := rand.New(rand.NewPCG(1, 2))
	src := make([]float32, n)
	for i := range src {
		src[i] = float32(rng.NormFloat64() * math.Exp(3*rng.NormFloat64()))
	}
	return src
}

// TestPackRows gathers rows of any width and stride and compares with packing them joined.
func TestPackRows(t *testing.T) {
	src := normals(2000)
	for _, c := range []struct{ stride, width int }{{16, 16}, {16, 8}, {13, 13}, {17, 5}, {1, 1}} {
		index := []int32{3, 0, 0, 7, 2, 50}
		var joined []float32
		for _, i := range index {
			joined = append(joined, src[int(i)*c.stride:int(i)*c.stride+c.width]...)
		}
		for _, fast := range []bool{true, false} {
			func() {
				defer setFastPack(setFastPack(fast))
				got := packed{bytes: make([]byte, 2*len(joined)), sums: make([]float64, len(index))}
				got.RowsF16(got.bytes, src, c.stride, c.width, index[:2], got.sums)
				got.RowsF16(got.bytes[2*2*c.width:], src, c.stride, c.width, index[2:], got.sums[2:])
				comparePacked(t, "rows", got, rowByRow(joined, c.width, referenceF16))
			}()
		}
		got := packed{bytes: make([]byte, 4*len(joined)), sums: make([]float64, len(index))}
		got.RowsF32(got.bytes, src, c.stride, c.width, index, got.sums)
		comparePacked(t, "fp32 rows", got, rowByRow(joined, c.width, referenceF32))
	}
}

// rowByRow adds up the reference's statistics of each row, in order.
func rowByRow(joined []float32, width int, reference func([]float32) packed) (all packed) {
	for len(joined) > 0 {
		one := reference(joined[:width])
		all.bytes = append(all.bytes, one.bytes...)
		all.sums = append(all.sums, one.sums...)
		all.MaxAbs = max(all.MaxAbs, one.MaxAbs)
		all.NonFinite += one.NonFinite
		all.Overflow += one.Overflow
		joined = joined[width:]
	}
	return all
}

// referenceF32 packs one row in slow, readable Go.
func referenceF32(src []float32) packed {
	p := packed{bytes: []byte{}}
	var lanes [8]float64
	for i, x := range src {
		p.bytes = binary.LittleEndian.AppendUint32(p.bytes, math.Float32bits(x))
		if f := float64(x); math.IsNaN(f) || math.IsInf(f, 0) {
			p.NonFinite++
		} else {
			p.MaxAbs = max(p.MaxAbs, math.Abs(f))
			lanes[i%8] += f * f
		}
	}
	p.sums = sumOf(lanes, len(src))
	return p
}

func TestPackF32(t *testing.T) {
	values := append(corners(), normals(1000)...)
	for start := range 9 {
		for _, fast := range []bool{true, false} {
			func() {
				defer setFastPack(setFastPack(fast))
				src := values[start:]
				got := packed{bytes: make([]byte, 4*len(src))}
				got.row(src, (*Packed).RowsF32)
				comparePacked(t, "fp32", got, referenceF32(src))
			}()
		}
	}
}

func TestPackNothing(t *testing.T) {
	var p packed
	if p.row(nil, (*Packed).RowsF16); p.Packed != (Packed{}) {
		t.Error("statistics of nothing")
	}
}

func BenchmarkPackF16(b *testing.B) {
	src := normals(64 << 10) // 256 kB: lies in L2
	dst, sums := make([]byte, 2*len(src)), make([]float64, 1)
	for name, fast := range map[string]bool{"fast": true, "plain": false} {
		b.Run(name, func(b *testing.B) {
			defer setFastPack(setFastPack(fast))
			b.SetBytes(int64(4 * len(src)))
			for b.Loop() {
				new(Packed).RowsF16(dst, src, len(src), len(src), []int32{0}, sums)
			}
		})
	}
	b.Run("fp32", func(b *testing.B) {
		dst := make([]byte, 4*len(src))
		b.SetBytes(int64(4 * len(src)))
		for b.Loop() {
			new(Packed).RowsF32(dst, src, len(src), len(src), []int32{0}, sums)
		}
	})
}

// A row that is fp16 already has the statistics of the row it was rounded from, on fast and plain CPUs.
func TestPackHalves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width, rows := rapid.IntRange(1, 40).Draw(t, "width"), rapid.IntRange(1, 5).Draw(t, "rows")
		src := make([]float32, rows*width)
		for i := range src {
			src[i] = rapid.SampledFrom([]float32{0, 1, -3.5, 1e-7, 65504, -65519, 0.1, float32(rapid.Float64Range(-60000, 60000).Draw(t, "x"))}).Draw(t, "value")
		}
		index := make([]int32, rows)
		for i := range index {
			index[i] = int32(i)
		}
		for _, fast := range []bool{true, false} {
			func() {
				defer setFastPack(setFastPack(fast))
				want, got := packed{bytes: make([]byte, 2*len(src)), sums: make([]float64, rows)}, packed{bytes: make([]byte, 2*len(src)), sums: make([]float64, rows)}
				want.RowsF16(want.bytes, src, width, width, index, want.sums)
				got.Halves(got.bytes, want.bytes, width, got.sums)
				comparePacked(t, "halves", got, want)
			}()
		}
	})
}

// What is not finite is counted, and nothing else of the row is lost.
func TestPackHalvesNotFinite(t *testing.T) {
	for _, fast := range []bool{true, false} {
		func() {
			defer setFastPack(setFastPack(fast))
			src := make([]byte, 2*17)
			for i, h := range []uint16{0x3c00, 0x7c00, 0xfc00, 0x7e00, 0xc000} { // 1, ∞, −∞, NaN, −2
				binary.LittleEndian.PutUint16(src[2*i:], h)
			}
			var m Packed
			dst, sums := make([]byte, len(src)), make([]float64, 1)
			m.Halves(dst, src, 17, sums)
			if m.NonFinite != 3 || m.Overflow != 0 || m.MaxAbs != 2 || sums[0] != 5 || !bytes.Equal(dst, src) {
				t.Errorf("fast %v: %+v, %v", fast, m, sums)
			}
		}()
	}
}

// A device rounds to fp16 by libtorch, the host by the packer: both to nearest, ties to even.
func TestLibtorchRoundsLikeThePacker(t *testing.T) {
	src := slices.DeleteFunc(append(corners(), normals(5000)...), func(x float32) bool { return x != x })
	want := packF16(src, true)
	run(t, func(s *Scope) {
		if got := s.To(FromFloat32(s, src, int64(len(src))), F16).Bytes(); !bytes.Equal(got, want.bytes) {
			t.Error("libtorch rounds otherwise")
		}
	})
}
