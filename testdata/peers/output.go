package main

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
)

// output writes markdown for the README to one place and, if asked, every value to
// another.
type output struct {
	w    io.Writer
	tsv  *os.File
	rows *bufio.Writer
	last []string // rows of the summary
	e    *env
}

func newOutput(w io.Writer, e *env) *output { return &output{w: w, e: e} }

func (o *output) close() {
	if o.tsv != nil {
		_ = o.rows.Flush()
		_ = o.tsv.Close()
	}
}

// header says what was measured on, and opens the file of values.
func (o *output) header(e *env) error {
	if e.o.tsv != "" {
		f, err := os.Create(e.o.tsv)
		if err != nil {
			return err
		}
		o.tsv, o.rows = f, bufio.NewWriter(f)
		fmt.Fprintln(o.rows, "measure\tsetting\tsystem\tround\tcolumn\tvalue")
	}
	_, err := fmt.Fprintf(o.w, "%s\n\n", e.machine())
	return err
}

func (o *output) value(m measure, c contender, round int, column string, v float64) error {
	if o.tsv == nil {
		return nil
	}
	_, err := fmt.Fprintf(o.rows, "%s\t%s\t%s\t%d\t%s\t%s\n", m.name, c.setting, c.system, round, column, strconv.FormatFloat(v, 'g', 6, 64))
	if err == nil {
		err = o.rows.Flush()
	}
	return err
}

// table prints a measure: a row a contender, in the order of the plan, with the
// ratio to each other system of its setting that is named as a base.
func (o *output) table(m measure, got results, rounds int) error {
	head := []string{"setting", "system"}
	for _, c := range m.columns {
		head = append(head, c.name)
	}
	head = append(head, "ratio to")
	fmt.Fprintf(o.w, "### %s\n\n", m.title)
	fmt.Fprintf(o.w, "| %s |\n|%s\n", strings.Join(head, " | "), strings.Repeat("---|", len(head)))
	for _, c := range m.contenders {
		v, ran := got[c.key()]
		if !ran {
			continue
		}
		row := []string{c.setting, c.system}
		for _, col := range m.columns {
			row = append(row, cell(v[col.name]))
		}
		row = append(row, strings.Join(o.beside(m, c, got), ", "))
		fmt.Fprintf(o.w, "| %s |\n", strings.Join(row, " | "))
	}
	fmt.Fprintf(o.w, "\nmedian [least..greatest], rounds: %d\n\n", rounds)
	for _, w := range m.wants {
		if row := w.row(m, got); row != "" {
			o.last = append(o.last, row)
		}
	}
	return nil
}

// beside lists the ratios of a system of ours to all others of its setting.
func (o *output) beside(m measure, c contender, got results) []string {
	if c.peer() != "herosup" {
		return nil
	}
	var out []string
	first := m.columns[0]
	for _, other := range m.contenders {
		b, ran := got[other.key()]
		if !ran || other.setting != c.setting || other.key() == c.key() {
			continue
		}
		r := ratios(got[c.key()][first.name], b[first.name], first.less)
		out = append(out, fmt.Sprintf("%s %s", other.system, times(median(r))))
	}
	return out
}

// row is the summary's line; "" if a contender did not run.
func (w want) row(m measure, got results) string {
	mine := got[w.setting+"\t"+w.system][w.column]
	less := false
	for _, c := range m.columns {
		if c.name == w.column {
			less = c.less
		}
	}
	if len(mine) == 0 {
		return ""
	}
	value, shown := median(mine), cell(mine)
	if w.than != "" {
		setting := w.thanSetting
		if setting == "" {
			setting = w.setting
		}
		theirs := got[setting+"\t"+w.than][w.column]
		if len(theirs) == 0 {
			return ""
		}
		value = median(ratios(mine, theirs, less))
		shown = fmt.Sprintf("%s of %s %s: %s", cell(mine), w.than, cell(theirs), times(value))
	}
	wanted, reached := "", "yes"
	switch {
	case w.least > 0:
		wanted = "at least " + number(w.least)
		if value < w.least {
			reached = "no"
		}
	case w.most > 0:
		wanted = "at most " + number(w.most)
		if value > w.most {
			reached = "no"
		}
	default:
		reached = ""
	}
	return fmt.Sprintf("| %s | %s | %s | %s |", w.what, shown, wanted, reached)
}

// summary is the README's table.
func (o *output) summary() error {
	if len(o.last) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(o.w, "### Summary\n\n| what | seen | wanted | reached |\n|---|---|---|---|\n%s\n", strings.Join(o.last, "\n"))
	return err
}

// cell is a median with its range.
func cell(v []float64) string {
	switch len(v) {
	case 0:
		return "-"
	case 1:
		return number(v[0])
	}
	low, high := math.Inf(1), math.Inf(-1)
	for _, x := range v {
		low, high = min(low, x), max(high, x)
	}
	return fmt.Sprintf("%s [%s..%s]", number(median(v)), number(low), number(high))
}

func times(r float64) string { return fmt.Sprintf("%.2fx", r) }

// number has three digits that count, and no more.
func number(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100_000:
		return strconv.FormatFloat(math.Round(v/1000), 'f', 0, 64) + "k"
	case a >= 1000:
		return strconv.FormatFloat(math.Round(v/100)/10, 'f', 1, 64) + "k"
	case a >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}
