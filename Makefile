# sslsock: see README.md. The two commands that matter are `make demo` and `make test`.

CARGO ?= cargo
CC ?= cc
CXX ?= c++
INSTALL ?= install
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DESTDIR ?=

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
SOVERSION := 0
WARNINGS := -Wall -Wextra -Wpedantic -Werror
CFLAGS ?= -O2 -g
# What a program of ours needs to find the library where it was built.
SSLSOCK_CFLAGS := -Ibuild/include
SSLSOCK_LIBS := -Lbuild/lib -lsslsock -Wl,-rpath,'$$ORIGIN/../lib'
RELEASE := target/release

C_TESTS := $(filter-out build/c-tests/common,$(patsubst c-tests/%.c,build/c-tests/%,$(wildcard c-tests/*.c)))

.PHONY: all lib examples c-tests demo test test-long header symbols install uninstall clean FORCE
all: lib examples

# Cargo knows best whether there is something to do.
FORCE:
$(RELEASE)/libsslsock.so: FORCE
	$(CARGO) build --release --lib

lib: $(RELEASE)/libsslsock.so
	mkdir -p build/lib build/include
	cmp -s $(RELEASE)/libsslsock.so build/lib/libsslsock.so.$(VERSION) || \
	    $(INSTALL) -m 755 $(RELEASE)/libsslsock.so build/lib/libsslsock.so.$(VERSION)
	ln -sf libsslsock.so.$(VERSION) build/lib/libsslsock.so.$(SOVERSION)
	ln -sf libsslsock.so.$(SOVERSION) build/lib/libsslsock.so
	cmp -s $(RELEASE)/libsslsock.a build/lib/libsslsock.a || \
	    $(INSTALL) -m 644 $(RELEASE)/libsslsock.a build/lib/libsslsock.a
	cmp -s include/sslsock.h build/include/sslsock.h || \
	    $(INSTALL) -m 644 include/sslsock.h build/include/sslsock.h
	$(call pkg_config,$(CURDIR)/build/lib,$(CURDIR)/build/include) > build/lib/sslsock.pc

# $(1) the folder of the library, $(2) the one of the header.
define pkg_config
printf '%s\n' 'libdir=$(1)' 'includedir=$(2)' '' 'Name: sslsock' \
    'Description: Turn a live TCP socket into TLS and go on using plain send and recv' \
    'Version: $(VERSION)' 'Cflags: -I$${includedir}' 'Libs: -L$${libdir} -lsslsock' \
    'Libs.private: -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc'
endef

examples: build/examples/smtp_starttls

build/examples/smtp_starttls: examples/smtp_starttls.c | lib
	mkdir -p $(@D)
	$(CC) -std=c99 $(WARNINGS) $(CFLAGS) $(SSLSOCK_CFLAGS) -o $@ $< $(SSLSOCK_LIBS)

c-tests: $(C_TESTS)

build/c-tests/%: c-tests/%.c $(wildcard c-tests/common/*) include/sslsock.h | lib
	mkdir -p $(@D)
	$(CC) -std=c11 $(WARNINGS) $(CFLAGS) $(SSLSOCK_CFLAGS) -o $@ $< $(wildcard c-tests/common/*.c) \
	    $(SSLSOCK_LIBS) -lpthread

demo: lib examples
	$(CARGO) build --release --example mail_server
	HOST='$(HOST)' ./examples/demo

test:
	./tests/run

test-long:
	./tests/run --long

# After a change of the ABI.
header:
	SSLSOCK_WRITE_HEADER=1 $(CARGO) test --quiet --test header

install: lib
	$(INSTALL) -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCLUDEDIR)
	$(INSTALL) -m 755 $(RELEASE)/libsslsock.so $(DESTDIR)$(LIBDIR)/libsslsock.so.$(VERSION)
	ln -sf libsslsock.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libsslsock.so.$(SOVERSION)
	ln -sf libsslsock.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/libsslsock.so
	$(INSTALL) -m 644 $(RELEASE)/libsslsock.a $(DESTDIR)$(LIBDIR)/libsslsock.a
	$(INSTALL) -m 644 include/sslsock.h $(DESTDIR)$(INCLUDEDIR)/sslsock.h
	$(call pkg_config,$(LIBDIR),$(INCLUDEDIR)) > $(DESTDIR)$(LIBDIR)/pkgconfig/sslsock.pc

uninstall:
	rm -f $(DESTDIR)$(LIBDIR)/libsslsock.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libsslsock.so.$(SOVERSION) \
	    $(DESTDIR)$(LIBDIR)/libsslsock.so $(DESTDIR)$(LIBDIR)/libsslsock.a \
	    $(DESTDIR)$(LIBDIR)/pkgconfig/sslsock.pc $(DESTDIR)$(INCLUDEDIR)/sslsock.h

clean:
	rm -rf build
	$(CARGO) clean
