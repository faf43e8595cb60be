package external_test

import (
	"strings"
	"testing"

	"herosup/events/external"
)

// A user without a password is a token.
func TestNoSecretIsShown(t *testing.T) {
	for _, url := range []string{"nats://s3cret@one:4222", "nats://me:s3cret@one:4222,nats://s3cret@two", "nats://s3cret:@one", "http://s3cret@one", "nats://s3cret@"} {
		a := external.Access{URL: url}
		text := a.Public()
		if err := a.Check(); err != nil {
			text += err.Error()
		}
		if strings.Contains(text, "s3cret") != (url == "nats://s3cret:@one") { // there it is a user's name
			t.Errorf("%s: %s", url, text)
		}
	}
	if got := (external.Access{URL: "nats://one:4222"}).Public(); got != "nats://one:4222" {
		t.Error(got)
	}
}
