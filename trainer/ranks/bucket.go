package ranks

// number is what a Bucket all-reduces as float64; integers stay exact up to 2⁵³.
type number interface {
	~int | ~int32 | ~int64 | ~float64
}

// Bucket gathers numbers for one all-reduce.
type Bucket struct {
	f32  [][]float32
	f64  []float64
	back []func(sums []float64) (left []float64)
}

// Floats takes an array, such as a gradient.
func (b *Bucket) Floats(v []float32) { b.f32 = append(b.f32, v) }

// Number takes numbers.
func Number[T number](b *Bucket, all ...*T) {
	for _, p := range all {
		b.f64 = append(b.f64, float64(*p))
	}
	b.back = append(b.back, func(sums []float64) []float64 {
		for i, p := range all {
			*p = T(sums[i])
		}
		return sums[len(all):]
	})
}

// Numbers takes an array of numbers.
func Numbers[T number](b *Bucket, v []T) {
	for _, x := range v {
		b.f64 = append(b.f64, float64(x))
	}
	b.back = append(b.back, func(sums []float64) []float64 {
		for i := range v {
			v[i] = T(sums[i])
		}
		return sums[len(v):]
	})
}

// Flags takes an array of which an element becomes true when it is so on any rank.
func (b *Bucket) Flags(v []bool) {
	for _, x := range v {
		n := 0.0
		if x {
			n = 1
		}
		b.f64 = append(b.f64, n)
	}
	b.back = append(b.back, func(sums []float64) []float64 {
		for i := range v {
			v[i] = sums[i] > 0
		}
		return sums[len(v):]
	})
}

// AllReduce sums all of it over the ranks and writes the sums back.
func (b *Bucket) AllReduce(r Ranks) error {
	if err := r.AllReduce(b.f32, b.f64); err != nil {
		return err
	}
	left := b.f64
	for _, write := range b.back {
		left = write(left)
	}
	return nil
}
