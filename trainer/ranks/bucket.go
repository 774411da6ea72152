package ranks

// number is what a Bucket sums as float64; integers stay exact up to 2⁵³.
type number interface {
	~int | ~int32 | ~int64 | ~float64
}

// Bucket gathers numbers, to be summed over the ranks in one go.
type Bucket struct {
	narrow [][]float32
	wide   []float64
	back   []func(sums []float64) (left []float64)
}

// Floats takes an array, such as a gradient.
func (b *Bucket) Floats(v []float32) { b.narrow = append(b.narrow, v) }

// Number takes numbers.
func Number[T number](b *Bucket, all ...*T) {
	for _, p := range all {
		b.wide = append(b.wide, float64(*p))
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
		b.wide = append(b.wide, float64(x))
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
		b.wide = append(b.wide, n)
	}
	b.back = append(b.back, func(sums []float64) []float64 {
		for i := range v {
			v[i] = sums[i] > 0
		}
		return sums[len(v):]
	})
}

// Sum sums all of it and writes the sums back.
func (b *Bucket) Sum(r Ranks) error {
	if err := r.Sum(b.narrow, b.wide); err != nil {
		return err
	}
	left := b.wide
	for _, write := range b.back {
		left = write(left)
	}
	return nil
}
