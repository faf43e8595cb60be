package store

import (
	"slices"
	"strings"
	"testing"
)

func TestURLForms(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]struct {
		kind string
		addr []string
	}{
		"redis://h:1/2":                       {"one", []string{"h:1"}},
		"unix:///s/r.sock?db=2":               {"one", []string{"/s/r.sock"}},
		"redis://a:1/2?master_name=m":         {"sentinel", []string{"a:1"}},
		"redis://a:1?master_name=m&addr=b:2":  {"sentinel", []string{"a:1", "b:2"}},
		"redis://a:1?addr=b:2&addr=c:3":       {"cluster", []string{"a:1", "b:2", "c:3"}},
		"rediss://a:1?cluster=true":           {"cluster", []string{"a:1"}},
		"redis://a?master_name=m&password=pw": {"sentinel", []string{"a:6379"}},
	} {
		o, err := parseURL(raw)
		if err != nil {
			t.Error(err)
			continue
		}
		c, kind := connect(o, Options{}), "one"
		switch {
		case c.sentinel():
			kind = "sentinel"
		case c.cluster():
			kind = "cluster"
		}
		if kind != want.kind || !slices.Equal(c.opts.Addrs, want.addr) || c.opts.MaxRetries != -1 {
			t.Errorf("%s: %s %v", raw, kind, c.opts.Addrs)
		}
	}
	for raw, word := range map[string]string{
		"redis://:s3cret@h:1/0?nonsense=1":            "nonsense",
		"redis://:s3cret@h:1?master_name=":            "master_name",
		"redis://:s3cret@h?master_name=m&addr=nocol":  "nocol",
		"redis://h?addr=nocol&password=s3cret":        "nocol",
		"redis-sentinel://:s3cret@h/0":                "redis-sentinel",
		"redis://?password=s3cret":                    "no host",
		"redis://:s3cret@h:1/x?master_name=m":         "database",
		"redis://:s3cret@%zz/0":                       "can not be read",
		"unix://?password=s3cret":                     "no path",
		"rediss://:s3cret@h:1?cluster=true&nonsense=": "nonsense",
	} {
		err := CheckURL(raw)
		if err == nil || !strings.Contains(err.Error(), word) || !strings.Contains(err.Error(), "want redis://") {
			t.Errorf("%s: %v, want %q and the forms", raw, err, word)
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the password shows: %v", err)
		}
	}
}
