package store

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// reply is what a script answered: a code and fields. A field that is not there reads as its
// zero value; the first one missing or malformed is kept in err.
type reply struct {
	script string
	fields []any
	err    error
}

// readReply takes an answer apart; NO_EPOCH is an error at once.
func readReply(script string, v any) (reply, error) {
	fields, _ := v.([]any)
	r := reply{script: script, fields: fields}
	code := r.str(0)
	if r.err != nil {
		return reply{}, r.err
	}
	if code == "NO_EPOCH" {
		return reply{}, ErrNoEpoch
	}
	return r, nil
}

func (r *reply) code() Code { return Code(r.str(0)) }

func (r *reply) fail(i int, want string) {
	if r.err == nil {
		r.err = fmt.Errorf("read answer of script %s: field %d is no %s", r.script, i, want)
	}
}

func (r *reply) str(i int) string {
	if i < len(r.fields) {
		switch v := r.fields[i].(type) {
		case string:
			return v
		case int64:
			return strconv.FormatInt(v, 10)
		}
	}
	r.fail(i, "text")
	return ""
}

func (r *reply) num(i int) int {
	n, err := strconv.Atoi(r.str(i))
	if err != nil {
		r.fail(i, "number")
	}
	return n
}

func (r *reply) seq(i int) uint64 {
	n, err := strconv.ParseUint(r.str(i), 10, 64)
	if err != nil {
		r.fail(i, "sequence")
	}
	return n
}

// sub is a field that is itself a list.
func (r *reply) sub(i int) reply {
	if i < len(r.fields) {
		if v, ok := r.fields[i].([]any); ok {
			return reply{script: r.script, fields: v}
		}
	}
	r.fail(i, "list")
	return reply{script: r.script}
}

// Numbers in records: others may have written anything there, so what is no number is zero.

// lastMillis is the end of the year 9999: a later time can not be written as JSON, and would spoil an answer about
// many jobs.
const lastMillis = 253402300799999

func msTime(s string) time.Time {
	ms, err := strconv.ParseFloat(s, 64) // a zset score may come as a float
	if err != nil || !(ms > 0 && ms <= lastMillis) {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}

func laxInt(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

func laxUint(s string) uint64 {
	n, _ := strconv.ParseUint(s, 10, 64)
	return n
}

func laxSeconds(s string) time.Duration { return units(laxInt(s), time.Second) }

func laxMillis(s string) time.Duration { return units(laxInt(s), time.Millisecond) }

// units is n of a unit, within what a duration can hold.
func units(n int, unit time.Duration) time.Duration {
	return time.Duration(min(max(0, n), int(math.MaxInt64/unit))) * unit
}
