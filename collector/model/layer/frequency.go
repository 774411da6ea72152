package layer

import "math"

// Frequencies are the angles by which one position turns the pairs of channels of dims channels:
// base^(−2i/dims) (Su et al. 2021). An odd dims gives the frequency of one pair more than fits, as
// Hugging Face's. Everything is rounded to fp32 where Hugging Face rounds.
func Frequencies(dims int, base float64) []float32 {
	out := make([]float32, (dims+1)/2)
	for i := range out {
		exponent := float32(2*i) / float32(dims)
		out[i] = 1 / float32(math.Pow(float64(float32(base)), float64(exponent)))
	}
	return out
}

// LongFrequencies are those of longrope: base^(−2i/dims) / factors[i], a factor for each pair (Ding et al. 2024).
func LongFrequencies(dims int, base float64, factors []float64) []float32 {
	out := make([]float32, len(factors))
	for i, f := range factors {
		exponent := float32(2*i) / float32(dims)
		out[i] = 1 / (float32(f) * float32(math.Pow(float64(float32(base)), float64(exponent))))
	}
	return out
}

// LongGain is longrope's factor on cos and sin for a context stretched by factor: √(1 + ln factor / ln original).
func LongGain(factor, original float64) float64 {
	if factor <= 1 {
		return 1
	}
	return math.Sqrt(1 + math.Log(factor)/math.Log(original))
}

// DynamicBase is the base of a prompt longer than the positions a model was trained on, by dynamic NTK scaling:
// base·(factor·length/positions − (factor−1))^(dims/(dims−2)), with dims above 2.
func DynamicBase(dims int, base, factor float64, positions, length int) float64 {
	stretch := factor*float64(length)/float64(positions) - (factor - 1)
	return base * math.Pow(stretch, float64(dims)/float64(dims-2))
}

// LinearScaling divides every frequency by factor: position interpolation (Chen et al. 2023).
func LinearScaling(freqs []float32, factor float64) []float32 {
	out := make([]float32, len(freqs))
	for i, f := range freqs {
		out[i] = f / float32(factor)
	}
	return out
}

// Llama3Scaling is the rule of Llama 3.1: frequencies whose wavelength exceeds Original/Low are divided
// by Factor, those below Original/High stay, those between are blended.
type Llama3Scaling struct {
	Factor, Low, High, Original float64
}

// Apply scales frequencies.
func (l Llama3Scaling) Apply(freqs []float32) []float32 {
	out := make([]float32, len(freqs))
	for i, f := range freqs {
		wave := 2 * math.Pi / float64(f)
		switch {
		case wave > l.Original/l.Low:
			out[i] = f / float32(l.Factor)
		case wave < l.Original/l.High:
			out[i] = f
		default:
			smooth := (l.Original/wave - l.Low) / (l.High - l.Low)
			out[i] = float32((1-smooth)*float64(f)/l.Factor + smooth*float64(f))
		}
	}
	return out
}

// YarnScaling interpolates slow channels and leaves fast ones, with a linear ramp between the channels
// that turn Fast and Slow times in Original positions (Peng et al. 2023).
type YarnScaling struct {
	Factor, Fast, Slow, Original float64
	Truncate                     bool // round the ends of the ramp outwards to whole channels
}

// Apply scales the frequencies of dims channels with the given base.
func (y YarnScaling) Apply(freqs []float32, dims int, base float64) []float32 {
	low, high := y.corner(y.Fast, dims, base), y.corner(y.Slow, dims, base)
	if y.Truncate {
		low, high = math.Floor(low), math.Ceil(high)
	}
	low, high = max(low, 0), min(high, float64(dims-1))
	if low == high {
		high += 0.001 // the ramp must have a slope
	}
	out := make([]float32, len(freqs))
	for i, f := range freqs {
		ramp := min(max((float64(i)-low)/(high-low), 0), 1)
		out[i] = float32(float64(f)/y.Factor*ramp + float64(f)*(1-ramp))
	}
	return out
}

// corner is the channel pair that turns the given number of times in Original positions.
func (y YarnScaling) corner(turns float64, dims int, base float64) float64 {
	return float64(dims) * math.Log(y.Original/(turns*2*math.Pi)) / (2 * math.Log(base))
}

// YarnGain is the factor on cos and sin that keeps attention as sharp as before: 0.1·m·ln(factor) + 1.
func YarnGain(factor, m float64) float64 {
	if factor <= 1 {
		return 1
	}
	return 0.1*m*math.Log(factor) + 1
}
