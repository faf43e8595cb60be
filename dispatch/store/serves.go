package store

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

const (
	// MaxServed bounds the types of one actor.
	MaxServed = 32
	// MaxWeight bounds the weight of one of them: up to it the shares are exact.
	MaxWeight = 20
)

// CheckServed judges what an actor of a type serves, by weight: its own among it, 1 to MaxServed types of weight 1 to MaxWeight.
func CheckServed(own string, weights map[string]int) error {
	if _, ok := weights[own]; !ok {
		return fmt.Errorf("an actor of type %s serves %s: want its own among them", own, strings.Join(slices.Sorted(maps.Keys(weights)), ", "))
	}
	if len(weights) > MaxServed {
		return fmt.Errorf("%d types in one actor: want at most %d", len(weights), MaxServed)
	}
	for _, t := range slices.Sorted(maps.Keys(weights)) {
		if err := bad("script type", t); err != nil {
			return err
		}
		if w := weights[t]; w < 1 || w > MaxWeight {
			return fmt.Errorf("type %s has the weight %d: want 1 to %d", t, w, MaxWeight)
		}
	}
	return nil
}

// Serve says, before the first Hello, that the actor serves several types, each by its weight: Exchange takes turns
// between those that have jobs waiting. The actor is registered, and counted, under its own type.
func (a *Actor) Serve(weights map[string]int) error {
	if err := CheckServed(a.jobType, weights); err != nil {
		return fmt.Errorf("actor %s: %w", a.name, err)
	}
	a.serves = ""
	if len(weights) == 1 {
		return nil
	}
	all := []string{a.jobType}
	for _, t := range slices.Sorted(maps.Keys(weights)) {
		if t != a.jobType {
			all = append(all, t)
		}
	}
	for i, t := range all {
		all[i] = t + ":" + strconv.Itoa(weights[t])
	}
	a.serves = strings.Join(all, " ")
	return nil
}

// served reads the types of an actor's line in the registry, behind its name: its own, then all with their weights.
func served(line string) (own string, all []string) {
	own, rest, _ := strings.Cut(line, " ")
	for word := range strings.FieldsSeq(rest) {
		if t, _, ok := strings.Cut(word, ":"); ok { // not the host
			all = append(all, t)
		}
	}
	if all == nil {
		all = []string{own}
	}
	return own, all
}
