package actor

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"herosup/dispatch/store"
)

// WriteTypes writes what an actor takes as text: the type that it is registered under first, and if there are
// several each with its weight, "bash:1,python:3".
func WriteTypes(first string, weights map[string]int) string {
	if len(weights) <= 1 {
		return first
	}
	all := []string{first}
	for _, t := range slices.Sorted(maps.Keys(weights)) {
		if t != first {
			all = append(all, t)
		}
	}
	for i, t := range all {
		all[i] = t + ":" + strconv.Itoa(weights[t])
	}
	return strings.Join(all, ",")
}

// ReadTypes takes such a text apart; without a weight it is 1.
func ReadTypes(text string) (first string, weights map[string]int, err error) {
	weights = map[string]int{}
	for i, word := range strings.Split(text, ",") {
		t, weight, weighed := strings.Cut(strings.TrimSpace(word), ":")
		n := 1
		if weighed {
			if n, err = strconv.Atoi(weight); err != nil {
				return "", nil, fmt.Errorf("types %s: the weight of %s is %q, want a number of 1 to %d", text, t, weight, store.MaxWeight)
			}
		}
		if _, twice := weights[t]; twice {
			return "", nil, fmt.Errorf("types %s: %s is there twice", text, t)
		}
		weights[t] = n
		if i == 0 {
			first = t
		}
	}
	if err := store.CheckServed(first, weights); err != nil {
		return "", nil, fmt.Errorf("types %s: %w", text, err)
	}
	return first, weights, nil
}
