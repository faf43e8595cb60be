package config

import (
	"maps"
	"strings"
	"testing"
	"time"
)

func TestOptionsOfASchedule(t *testing.T) {
	s := Schedule{
		Timeout: new(10 * time.Minute), Delay: 1500 * time.Millisecond, StartBy: time.Hour, Retries: new(2), Priority: -3, Env: map[string]string{"A": "b"},
		CallerID: "me", ContextID: "here",
	}
	if d := s.Definition(); !maps.Equal(d.Headers, map[string]string{
		"Hero-Timeout": "600", "Hero-Delay": "1.5", "Hero-Start-By": "3600", "Hero-Retries": "2", "Hero-Priority": "-3", "Hero-Env-A": "b",
		"Hero-Caller-Id": "me", "Hero-Context-Id": "here",
	}) {
		t.Errorf("headers %v", d.Headers)
	}
	// 0 is said; what is not said is left to the settings of the type.
	for text, want := range map[string]map[string]string{"": nil, "\n  timeout: 0s\n  retries: 0": {"Hero-Timeout": "0", "Hero-Retries": "0"}} {
		c, err := load(t, "schedules:\n- name: a\n  cron: '@daily'\n  type: bash\n  script: x"+text)
		if err != nil || !maps.Equal(c.Schedules[0].Definition().Headers, want) {
			t.Errorf("%q: %v %+v", text, err, c.Schedules)
		}
	}
}

// Each fault of a schedule names line, key, what was got and what is allowed.
func TestFaultsOfASchedule(t *testing.T) {
	for text, want := range map[string][]string{
		"schedules:\n- name: a\n  cron: '61 * * * *'\n  type: bash\n  script: x\n":                                             {":3: schedules[0].cron", `"61 * * * *"`, "allowed: 0-59", `minute "61"`},
		"schedules:\n- {name: a, cron: '@daily', type: bash, script: x}\n- {name: a b, cron: '@daily'}\n":                      {":3: schedules[1].name", `"a b"`, "A-Z"},
		"schedules:\n- {name: a, cron: '@daily', type: bash, script: x, timezone: Mars}\n":                                     {":2: schedules[0].timezone", "Mars", "Europe/Berlin"},
		"schedules:\n- {name: a, cron: '@daily', type: bash, script: x, missed: all}\n":                                        {"schedules[0].missed", "once or skip"},
		"schedules:\n- {name: a, cron: '@daily', type: bash, script: x, timeout: -5s}\n":                                       {"schedules[0].timeout", "-5s", "seconds"},
		"schedules:\n- {name: a, cron: '@daily', type: bash, script: x, priority: 11}\n":                                       {"schedules[0].priority", "11"},
		"schedules:\n- {name: a, cron: '@daily', type: bash}\n":                                                                {":2: schedules[0].script", "empty"},
		"schedules:\n- {name: a, cron: '@daily', type: bash, script: x, script_file: y}\n":                                     {"script_file", "not both"},
		"schedules:\n- {name: a, cron: '@daily', type: bash, script_file: nosuch.sh}\n":                                        {":2: schedules[0].script_file", "no such file"},
		"schedules:\n- {name: a, crn: '@daily'}\n":                                                                             {"[2:13]", `did you mean "cron"`},
		"schedules:\n- {name: a, cron: '@daily', type: bash, script: x}\n- {name: a, cron: '@daily', type: bash, script: x}\n": {":3: schedules[1].name", "no other"},
	} {
		_, err := load(t, text)
		if err == nil {
			t.Errorf("%q was accepted", text)
			continue
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q: no %q in:\n%v", text, w, err)
			}
		}
	}
}
