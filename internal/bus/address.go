package bus

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// errAddress says nothing of the address, which may have a password, or a part of one.
var errAddress = errors.New("an address cannot be read: give HOST:PORT or nats://USER:PASSWORD@HOST:PORT, several with commas; " +
	"in user and password write all but letters and digits as %XX, such as %40 for @ and %2F for /")

// schemes are those that the client library speaks; any other it takes for nats.
var schemes = []string{"nats", "tls", "ws", "wss"}

// CheckAddresses tells what is wrong with a list of addresses that is to be joined. None
// is fine.
func CheckAddresses(list string) error {
	if list == "" {
		return nil
	}
	_, err := parseAddresses(list)
	return err
}

// parseAddresses reads a list of addresses as the client library does.
func parseAddresses(list string) ([]*url.URL, error) {
	var all []*url.URL
	for text := range strings.SplitSeq(list, ",") {
		text = strings.TrimSpace(text)
		if !strings.Contains(text, "://") {
			text = "nats://" + text
		}
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || strings.ContainsAny(u.Path+u.Fragment, "@") {
			return nil, errAddress
		}
		if !slices.Contains(schemes, u.Scheme) {
			return nil, fmt.Errorf("%q is not how to reach NATS: give %s and then ://HOST:PORT", u.Scheme, strings.Join(schemes, ", "))
		}
		all = append(all, u)
	}
	return all, nil
}

// redact hides passwords and tokens in a list of addresses.
func redact(list string) string {
	addresses, err := parseAddresses(list)
	if err != nil {
		return "the address given"
	}
	texts := make([]string, len(addresses))
	for i, u := range addresses {
		if u.User != nil {
			if _, has := u.User.Password(); !has {
				u.User = url.User("xxxxx")
			}
		}
		texts[i] = u.Redacted()
	}
	return strings.Join(texts, ",")
}
