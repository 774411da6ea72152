package shard

import (
	"encoding/binary"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// Every pattern comes back; NaNs come back quiet.
func TestF16RoundTrip(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		want := h
		if h&f16Exponent == f16Exponent && h&0x3ff != 0 {
			want |= 0x200
		}
		if got := f16FromF32(f16ToF32(h)); got != want {
			t.Fatalf("%#04x became %#04x", h, got)
		}
	}
}

// Between two neighbours the middle goes to the even one, and a hair beside it to the nearer one.
func TestF16Rounding(t *testing.T) {
	for h := uint16(0); h < 0x7bff; h++ {
		low, high := f16ToF32(h), f16ToF32(h+1)
		middle := low + (high-low)/2
		even := h + h&1
		for _, c := range []struct {
			x    float32
			want uint16
		}{{middle, even}, {math.Nextafter32(middle, low), h}, {math.Nextafter32(middle, high), h + 1}} {
			if got := f16FromF32(c.x); got != c.want {
				t.Fatalf("%g between %#04x and its neighbour became %#04x, want %#04x", c.x, h, got, c.want)
			}
			if got := f16FromF32(-c.x); got != c.want|0x8000 {
				t.Fatalf("%g became %#04x, want %#04x", -c.x, got, c.want|0x8000)
			}
		}
	}
}

func TestF16Values(t *testing.T) {
	inf := math.Inf(1)
	tests := []struct {
		x    float64
		want uint16
	}{
		{0, 0}, {math.Copysign(0, -1), 0x8000}, {1, 0x3c00}, {-2, 0xc000}, {65504, 0x7bff}, {65519.996, 0x7bff},
		{65520, 0x7c00}, {1e9, 0x7c00}, {inf, 0x7c00}, {-inf, 0xfc00}, {math.Ldexp(1, -24), 1}, {math.Ldexp(1, -25), 0},
		{math.Ldexp(1.0001, -25), 1}, {math.Ldexp(1, -14), 0x0400}, {math.Ldexp(1, -149), 0}, {math.NaN(), 0x7e00},
	}
	for _, tt := range tests {
		if got := f16FromF32(float32(tt.x)); got != tt.want {
			t.Errorf("%g became %#04x, want %#04x", tt.x, got, tt.want)
		}
	}
}

func TestUnpackF16(t *testing.T) {
	for n := range 20 {
		src := make([]byte, 2*n)
		for i := range n {
			binary.LittleEndian.PutUint16(src[2*i:], uint16(i*4099))
		}
		got := make([]float32, n)
		UnpackF16(got, src)
		for i, x := range got {
			if want := f16ToF32(uint16(i * 4099)); math.Float32bits(x) != math.Float32bits(want) {
				t.Fatalf("value %d of %d: %g, want %g", i, n, x, want)
			}
		}
	}
}

// The kernel gives what the table gives, for every pattern and wherever a row ends.
func TestUnpackF16Kernel(t *testing.T) {
	src := make([]byte, 2<<16)
	for h := range 1 << 16 {
		binary.LittleEndian.PutUint16(src[2*h:], uint16(h))
	}
	for _, n := range []int{1 << 16, 1<<16 - 1, 1<<16 - 7, 8, 24, 39} {
		from := src[len(src)-2*n:]
		fast, slow := make([]float32, n), make([]float32, n)
		UnpackF16(fast, from)
		unpackF16(slow, from)
		for i := range fast {
			if math.Float32bits(fast[i]) != math.Float32bits(slow[i]) {
				t.Fatalf("value %d of %d: %#08x, want %#08x", i, n, math.Float32bits(fast[i]), math.Float32bits(slow[i]))
			}
		}
	}
}

func anyFloats() *rapid.Generator[[]float32] {
	special := rapid.SampledFrom([]float32{0, 65504, 65520, 1e30, float32(math.Inf(-1)), float32(math.NaN()), 6e-8})
	return rapid.SliceOfN(rapid.OneOf(rapid.Float32(), rapid.Float32Range(-10, 10), special), 0, 40)
}

// The statistics that come with packing are those of the packed bytes.
func TestPackStats(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := anyFloats().Draw(t, "src")
		for d, pack := range map[Dtype]func([]byte, []float32) VectorStats{F16: PackF16, F32: PackF32} {
			dst := make([]byte, d.Size()*len(src))
			got := pack(dst, src)
			want := measureRow(dst, d)
			if got.NonFinite+got.Overflow != want.NonFinite {
				t.Fatalf("%s: %+v, bytes say %+v", d, got, want)
			}
			got.NonFinite, got.Overflow = want.NonFinite, 0
			if got != want {
				t.Fatalf("%s: %+v, bytes say %+v", d, got, want)
			}
		}
	})
}

func TestPackCountsOverflow(t *testing.T) {
	src := []float32{1, 70000, float32(math.Inf(1)), float32(math.NaN()), -2}
	got := PackF16(make([]byte, 10), src)
	want := VectorStats{Count: 1, SumSq: 5, MaxAbs: 2, NonFinite: 2, Overflow: 1}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// anyStats draws statistics whose sums are whole numbers, so that addition is exact and the laws hold to the bit.
func anyStats() *rapid.Generator[VectorStats] {
	return rapid.Custom(func(t *rapid.T) VectorStats {
		n := rapid.Int64Range(0, 1<<20)
		return VectorStats{n.Draw(t, "count"), float64(n.Draw(t, "sumsq")), float64(n.Draw(t, "max")), n.Draw(t, "nonfinite"), n.Draw(t, "overflow")}
	})
}

func merged(parts ...VectorStats) VectorStats {
	var sum VectorStats
	for _, p := range parts {
		sum.Merge(p)
	}
	return sum
}

func TestMergeLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := anyStats().Draw(t, "a"), anyStats().Draw(t, "b"), anyStats().Draw(t, "c")
		if merged(a, b) != merged(b, a) {
			t.Fatal("not commutative")
		}
		if merged(merged(a, b), c) != merged(a, merged(b, c)) {
			t.Fatal("not associative")
		}
		if merged(a, VectorStats{}) != a {
			t.Fatal("no rows are not neutral")
		}
	})
}
