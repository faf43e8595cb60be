package main

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// measure is one table: contenders that do the same thing.
type measure struct {
	name  string
	title string
	// columns of the table; the first is the one that ratios are of.
	columns []column
	// rounds, if set, is how many there are at most: some take long.
	rounds int
	// contenders of one setting are compared with one another.
	contenders []contender
	// wants are what the figures are held against.
	wants []want
}

// column is one value of a contender's run.
type column struct {
	name string
	// less says that less is better; a ratio is then turned round, so that above 1 is
	// always better.
	less bool
}

// contender is one system in one setting.
type contender struct {
	system  string // "herosup", "asynq", "bullmq", "raw", and more words
	setting string
	run     func(ctx context.Context, e *env) (values, error)
	// kills: it has as many rounds as -peers-kills says at most.
	kills bool
}

// peer is the program that a contender needs: the first word of its system.
func (c contender) peer() string { name, _, _ := strings.Cut(c.system, " "); return name }

func (c contender) key() string { return c.setting + "\t" + c.system }

// values of one run, by column.
type values map[string]float64

// want is one line of the summary: a value or a ratio, and what was asked for.
type want struct {
	what    string // for people
	setting string
	system  string
	column  string
	// than is another system of the same setting: then the ratio counts, else the
	// value. thanSetting, if set, is that one's setting.
	than, thanSetting string
	// least or most is what was asked for.
	least, most float64
}

// results are the values of all rounds, by contender and column.
type results map[string]map[string][]float64

// measure runs all rounds of all measures and prints.
func (e *env) measure(ctx context.Context, all []measure) error {
	out := newOutput(os.Stdout, e)
	defer out.close()
	if err := out.header(e); err != nil {
		return err
	}
	for _, m := range all {
		if err := e.measureOne(ctx, m, out); err != nil {
			return err
		}
	}
	return out.summary()
}

func (e *env) measureOne(ctx context.Context, m measure, out *output) error {
	got, most := results{}, 0
	for _, c := range m.contenders {
		most = max(most, e.roundsOf(m, c))
	}
	for round := 1; round <= most; round++ {
		for _, c := range m.contenders {
			rounds := e.roundsOf(m, c)
			if !e.has(c.peer()) || round > rounds {
				continue
			}
			e.say("%s: round %d of %d: %s, %s", m.name, round, rounds, c.system, c.setting)
			v, err := e.runOne(ctx, c)
			if err != nil {
				return fmt.Errorf("%s: %s, %s: %w", m.name, c.system, c.setting, err)
			}
			if got[c.key()] == nil {
				got[c.key()] = map[string][]float64{}
			}
			for column, value := range v {
				got[c.key()][column] = append(got[c.key()][column], value)
				if err := out.value(m, c, round, column, value); err != nil {
					return err
				}
			}
		}
	}
	return out.table(m, got, most)
}

// roundsOf is how many rounds a contender has.
func (e *env) roundsOf(m measure, c contender) int {
	n := e.o.rounds
	if m.rounds > 0 {
		n = min(n, m.rounds)
	}
	if c.kills {
		n = min(n, e.o.kills)
	}
	return n
}

// runOne runs a contender in a folder of its own and ends everything it started.
func (e *env) runOne(ctx context.Context, c contender) (v values, err error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	scope, err := e.scope()
	if err != nil {
		return nil, err
	}
	defer func() {
		if end := scope.end(); err == nil {
			err = end
		}
	}()
	return c.run(ctx, scope)
}
