package main

import (
	"math"
	"slices"
)

// median of values; NaN for none.
func median(v []float64) float64 { return quantile(v, 0.5) }

// quantile q of values by the nearest rank, the median of an even number being the
// middle of two; NaN for none.
func quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(v))
	if q == 0.5 && len(s)%2 == 0 {
		return (s[len(s)/2-1] + s[len(s)/2]) / 2
	}
	return s[max(0, min(len(s)-1, int(math.Ceil(q*float64(len(s))))-1))]
}

// ratios of two contenders, round by round. With less, a smaller value of a is the
// better one, and the ratio is turned round.
func ratios(a, b []float64, less bool) []float64 {
	out := make([]float64, 0, len(a))
	for i := range min(len(a), len(b)) {
		if less {
			out = append(out, b[i]/a[i])
		} else {
			out = append(out, a[i]/b[i])
		}
	}
	return out
}
