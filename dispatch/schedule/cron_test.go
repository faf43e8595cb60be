package schedule

import (
	"errors"
	"strings"
	"testing"
)

// Each fault names the field and what is allowed there.
func TestParseFaults(t *testing.T) {
	for line, want := range map[string][2]string{
		"":                          {"is empty", "@every 10m"},
		"   ":                       {"is empty", "0 3 * * *"},
		"* * * *":                   {"has 4 fields", "minute, hour, day of month, month, day of week"},
		"0 0 3 * * *":               {"has 6 fields", "no field for seconds"},
		"60 * * * *":                {`minute "60"`, "0-59"},
		"* 24 * * *":                {`hour "24"`, "0-23"},
		"* * 0 * *":                 {`day of month "0"`, "1-31"},
		"* * 32 * *":                {`day of month "32"`, "1-31"},
		"* * * 13 *":                {`month "13"`, "1-12 or JAN-DEC"},
		"* * * FOO *":               {`month "FOO"`, "JAN-DEC"},
		"* * * * 8":                 {`day of week "8"`, "0-7 or SUN-SAT"},
		"*/0 * * * *":               {`minute "*/0"`, "a step */5"},
		"x * * * *":                 {`minute "x"`, "0-59"},
		"1,,2 * * * *":              {`minute "1,,2"`, "a list 1,5"},
		"0 0 31 2 *":                {`"31" never comes in month "2"`, "day of month"},
		"0 0 30 FEB *":              {"never comes", "month"},
		"@dayly":                    {`"@dayly" is not known`, "did you mean @daily?"},
		"@never":                    {`"@never" is not known`, "did you mean @every?"},
		"@fortnight":                {`"@fortnight" is not known`, "@hourly"},
		"@reboot":                   {"@reboot is no time", "daemon"},
		"@daily 3":                  {`"@daily" is not known`, "@daily"},
		"@every":                    {"has 0 words", "@every 90s"},
		"@every x":                  {`"x" is no duration`, "whole seconds"},
		"@every 1500ms":             {"1500ms is not allowed", "whole seconds"},
		"@every 0s":                 {"0s is not allowed", "from 1s"},
		"@every -1m":                {"-1m is not allowed", "from 1s"},
		"@every 9000h":              {"9000h is not allowed", "8784h"},
		"TZ=0":                      {"begins with a time zone", "timezone"},
		"CRON_TZ=UTC 0 3 * * *":     {"begins with a time zone", "timezone"},
		"H * * * *":                 {`minute "H"`, "0-59"},
		"0 *-5 * * *":               {`hour "*-5"`, "a range 1-5"},
		"1,?-9 * * * *":             {`minute "1,?-9"`, "a range 1-5"},
		strings.Repeat("1,", 200):   {"bytes long", "256"},
		"* * * * " + "\xff\xfe\x00": {"day of week", "SUN-SAT"},
	} {
		_, err := Parse(line)
		var e *LineError
		if !errors.As(err, &e) {
			t.Errorf("%q: %v, want a LineError", line, err)
			continue
		}
		if !strings.Contains(e.Error(), want[0]) || !strings.Contains(e.Hint(), want[1]) {
			t.Errorf("%q:\n got %s\nhint %s\nwant %q and %q", line, e, e.Hint(), want[0], want[1])
		}
	}
}

func TestParseTakes(t *testing.T) {
	for _, line := range []string{
		"0 3 * * *", "*/5 * * * *", "0 0 1,15 * 1-5", "0 0 29 2 *", "0 22 * * SUN", "0 22 * * 7", "15-45/10 8-18 * jan-MAR mon", " 0\t3 * * * ",
		"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly", "@every 1s", "@every 1h30m",
	} {
		if _, err := Parse(line); err != nil {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestZones(t *testing.T) {
	for _, name := range []string{"", "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"} {
		if _, err := Zone(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"Local", "Berlin", "Europe/Berlun", "../etc/passwd", "/etc/localtime", strings.Repeat("x", 100)} {
		var e *LineError
		if _, err := Zone(name); !errors.As(err, &e) || !strings.Contains(e.Hint(), "Europe/Berlin") {
			t.Errorf("%q: %v", name, err)
		}
	}
}
