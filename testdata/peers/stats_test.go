package main

import (
	"math"
	"testing"
)

func TestQuantile(t *testing.T) {
	for _, c := range []struct {
		v    []float64
		q    float64
		want float64
	}{
		{[]float64{3, 1, 2}, 0.5, 2},
		{[]float64{4, 1, 3, 2}, 0.5, 2.5},
		{[]float64{7}, 0.99, 7},
		{[]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 0.9, 9},
		{[]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 0.99, 10},
	} {
		if got := quantile(c.v, c.q); got != c.want {
			t.Errorf("quantile(%v, %v) = %v, want %v", c.v, c.q, got, c.want)
		}
	}
	if !math.IsNaN(median(nil)) {
		t.Error("the median of nothing is a number")
	}
}

// A ratio is taken inside each round, and above 1 is always better.
func TestRatios(t *testing.T) {
	if got := median(ratios([]float64{30, 10, 40}, []float64{10, 10, 10}, false)); got != 3 {
		t.Errorf("rates: %v, want 3", got)
	}
	if got := median(ratios([]float64{2, 4}, []float64{4, 4}, true)); got != 1.5 {
		t.Errorf("times: %v, want 1.5", got)
	}
}
