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


# The C tests are built into a tree, for the library in it: build itself, or a variant below it, as below.
TREE ?= build
TREE_LIB ?= lib
# Sources that a variant needs in every program.
C_TEST_EXTRA ?=
C_TEST_COMMON := $(wildcard c-tests/common/*.c) $(C_TEST_EXTRA)
C_TESTS := $(patsubst c-tests/%.c,$(TREE)/c-tests/%,$(filter-out c-tests/header.c,$(wildcard c-tests/*.c))) \
    $(patsubst c-tests/%.c,$(TREE)/c-tests/%-c++,$(wildcard c-tests/wince_*.c)) \
    $(addprefix $(TREE)/c-tests/loading/,names openssl rounds) \
    $(addprefix $(TREE)/c-tests/header-,c99 c11 c17 c++17)
C_TEST_HEADERS := include/sslsock.h $(wildcard c-tests/common/*.h c-tests/loading/*.h)
C_TEST_FLAGS := $(WARNINGS) $(CFLAGS) -Iinclude -Ic-tests
C_TEST_LIBS := -L$(TREE)/lib -lsslsock -Wl,-rpath,'$$ORIGIN/../lib' -ldl -lpthread
# The programs that load the library by themselves, and must not be linked to it.
LOADING_COMMON := c-tests/loading/api.c $(addprefix c-tests/common/,peer.c process.c test.c ways.c) $(C_TEST_EXTRA)
LOADING_LIBS := -rdynamic -Wl,-rpath,'$$ORIGIN/../../lib' -ldl -lpthread

.PHONY: all wince dotnet examples-dotnet lib lib-asan lib-panics examples c-tests c-tests-asan c-tests-panics c-tests-tsan lib-tsan soak soak-programs scale-programs demo test test-long test-tsan differences dotnet-matrix header symbols package install uninstall clean FORCE
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
	mkdir -p build/include/sslsock
	ln -sfn ../../../include/wince build/include/sslsock/wince
	$(call pkg_config,$(CURDIR)/build/lib,$(CURDIR)/build/include) > build/lib/sslsock.pc
	$(call pkg_config_wince,$(CURDIR)/build/lib,$(CURDIR)/build/include) > build/lib/sslsock-wince.pc

# $(1) the folder of the library, $(2) the one of the header, $(3) the package, $(4) what it is for, $(5) the folder of its
# headers below $(2).
define pkg_config_of
printf '%s\n' 'libdir=$(1)' 'includedir=$(2)' '' 'Name: $(3)' 'Description: $(4)' \
    'Version: $(VERSION)' 'Cflags: -I$${includedir}$(5)' 'Libs: -L$${libdir} -lsslsock' \
    'Libs.private: -lpthread -lm -ldl -lc'
endef
pkg_config = $(call pkg_config_of,$(1),$(2),sslsock,Turn a live TCP socket into TLS and go on using plain send and recv,)
pkg_config_wince = $(call pkg_config_of,$(1),$(2),sslsock-wince,Headers with which Windows CE sources compile on Linux,/sslsock/wince)

examples: build/examples/smtp_starttls build/examples/smtp_server build/examples/ftps

build/examples/smtp_starttls build/examples/smtp_server build/examples/ftps: build/examples/%: examples/%.c | lib
	mkdir -p $(@D)
	$(CC) -std=c99 $(WARNINGS) $(CFLAGS) $(SSLSOCK_CFLAGS) -o $@ $< $(SSLSOCK_LIBS)

c-tests: $(C_TESTS)

# A program that is too long for one file has more of them in a folder of its name.
$(TREE)/c-tests/calls: $(wildcard c-tests/calls/*)
$(TREE)/c-tests/winsock: $(wildcard c-tests/winsock/* include/wince/*.h include/wince/*/*.h)

$(TREE)/c-tests/%: c-tests/%.c $(C_TEST_COMMON) $(C_TEST_HEADERS) | $(TREE_LIB)
	mkdir -p $(@D)
	$(CC) -std=c11 $(C_TEST_FLAGS) -o $@ $< $(wildcard c-tests/$*/*.c) $(C_TEST_COMMON) $(C_TEST_LIBS)

# Two processes: ours, and the peer with OpenSSL.
SOAK_FILES := $(wildcard c-tests/soak/*) $(addprefix c-tests/common/,check.h extent.h extent.c process.h process.c peer.h peer.c)
soak-programs: $(TREE)/soak/soak $(TREE)/soak/peer

$(TREE)/soak/soak: $(SOAK_FILES) include/sslsock.h | $(TREE_LIB)
	mkdir -p $(@D)
	$(CC) -std=c11 $(C_TEST_FLAGS) -o $@ $(filter-out c-tests/soak/peer.c,$(filter %.c,$(SOAK_FILES))) $(C_TEST_LIBS)

$(TREE)/soak/peer: $(SOAK_FILES)
	mkdir -p $(@D)
	$(CC) -std=c11 $(C_TEST_FLAGS) -o $@ $(addprefix c-tests/soak/,peer.c plan.c net.c) -lssl -lcrypto

# Ten minutes.
soak: soak-programs
	./tests/soak.py --seconds 600

# Thousands of connections in one process; benches/run.py and tests/scale.py run it.
scale-programs: build/benches/scale build/benches/scale_peer

build/benches/scale: benches/scale/scale.c $(addprefix c-tests/common/,check.h extent.c process.c peer.c) include/sslsock.h | lib
	mkdir -p $(@D)
	$(CC) -std=c11 $(C_TEST_FLAGS) -o $@ $(filter %.c,$^) $(SSLSOCK_LIBS) -lpthread

build/benches/scale_peer: benches/scale/peer.c c-tests/common/check.h
	mkdir -p $(@D)
	$(CC) -std=c11 $(C_TEST_FLAGS) -o $@ $< -lssl -lcrypto

# With the headers for Windows CE sources, and compiled as those are: as C, and as C++ too.
WINCE_TEST_FLAGS := -Wall -Wextra -Werror $(CFLAGS) -Iinclude/wince -Ic-tests -DUNICODE -D_UNICODE -DUNDER_CE \
    -D_WIN32_WCE=0x501
WINCE_TEST_HEADERS := $(wildcard include/wince/*.h include/wince/*/*.h)

$(TREE)/c-tests/wince_%: c-tests/wince_%.c $(C_TEST_COMMON) $(C_TEST_HEADERS) $(WINCE_TEST_HEADERS) | $(TREE_LIB)
	mkdir -p $(@D)
	$(CC) -std=gnu11 $(WINCE_TEST_FLAGS) -c -o $@.o $<
	$(CC) -std=c11 $(C_TEST_FLAGS) -o $@ $@.o $(C_TEST_COMMON) $(C_TEST_LIBS)

$(TREE)/c-tests/wince_%-c++: c-tests/wince_%.c $(C_TEST_COMMON) $(C_TEST_HEADERS) $(WINCE_TEST_HEADERS) | $(TREE_LIB)
	mkdir -p $(@D)
	$(CXX) -x c++ -std=gnu++98 $(WINCE_TEST_FLAGS) -c -o $@.o $<
	$(CC) -std=c11 $(C_TEST_FLAGS) -o $@ $@.o $(C_TEST_COMMON) $(C_TEST_LIBS) -lstdc++

$(TREE)/c-tests/loading/%: c-tests/loading/%.c $(LOADING_COMMON) $(C_TEST_HEADERS) | $(TREE_LIB)
	mkdir -p $(@D)
	$(CC) -std=c11 $(C_TEST_FLAGS) -o $@ $< $(LOADING_COMMON) $(LOADING_LIBS)

$(TREE)/c-tests/injected/%: c-tests/injected/%.c $(C_TEST_COMMON) $(C_TEST_HEADERS) | $(TREE_LIB)
	mkdir -p $(@D)
	$(CC) -std=c11 $(C_TEST_FLAGS) -o $@ $< $(C_TEST_COMMON) -L$(TREE)/lib -lsslsock \
	    -Wl,-rpath,'$$ORIGIN/../../lib' -ldl -lpthread

$(TREE)/c-tests/header-c++%: c-tests/header.c $(C_TEST_HEADERS) | $(TREE_LIB)
	mkdir -p $(@D)
	$(CXX) -x c++ -std=c++$* $(C_TEST_FLAGS) -o $@ $< $(C_TEST_LIBS)

$(TREE)/c-tests/header-c%: c-tests/header.c $(C_TEST_HEADERS) | $(TREE_LIB)
	mkdir -p $(@D)
	$(CC) -std=c$* $(C_TEST_FLAGS) -o $@ $< $(C_TEST_LIBS)

# Sources as they were written for Windows CE, with the include path as their only change, in every language that they
# were compiled as. What they have beside them is the porter's.
WINCE_FLAGS := -Iinclude/wince -DUNICODE -D_UNICODE -DUNDER_CE -D_WIN32_WCE=0x501 -Wall -Werror $(CFLAGS)
WINCE_HARNESS := $(addprefix $(TREE)/wince/,main.o trust.o)
WINCE_HEADERS := c-tests/wince/client.h $(shell find include/wince -type f)
WINCE_C := $(patsubst c-tests/wince/%.c,%,$(wildcard c-tests/wince/*.c))
WINCE_CXX := $(patsubst c-tests/wince/%.cpp,%,$(wildcard c-tests/wince/*.cpp))
WINCE_C_MODES := gnu99 gnu17
WINCE_CXX_MODES := gnu++98 gnu++11 gnu++17
WINCE_PROGRAMS := $(foreach mode,$(WINCE_C_MODES),$(addprefix $(TREE)/wince/$(mode)/,$(WINCE_C))) \
    $(foreach mode,$(WINCE_CXX_MODES),$(addprefix $(TREE)/wince/$(mode)/,$(WINCE_C) $(WINCE_CXX)))
WINCE_LIBS := -L$(TREE)/lib -lsslsock -Wl,-rpath,'$$ORIGIN/../../lib' -lpthread

wince: $(WINCE_PROGRAMS)

$(TREE)/wince/%.o: c-tests/wince/harness/%.c include/sslsock.h
	mkdir -p $(@D)
	$(CC) -std=gnu11 $(WARNINGS) $(CFLAGS) -c -o $@ $<

# $(1) the language, $(2) the compiler, $(3) how it is told the language, $(4) the ending of the source.
define wince_rule
$(TREE)/wince/$(1)/%: c-tests/wince/%.$(4) $(WINCE_HARNESS) $(WINCE_HEADERS) | $(TREE_LIB)
	mkdir -p $$(@D)
	$(2) $(3) -std=$(1) $$(WINCE_FLAGS) -o $$@ $$< -x none $(WINCE_HARNESS) $$(WINCE_LIBS)

endef
$(eval $(foreach mode,$(WINCE_C_MODES),$(call wince_rule,$(mode),$(CC),-x c,c)))
$(eval $(foreach mode,$(WINCE_CXX_MODES),$(call wince_rule,$(mode),$(CXX),-x c++,c)))
$(eval $(foreach mode,$(WINCE_CXX_MODES),$(call wince_rule,$(mode),$(CXX),-x c++,cpp)))

# The same programs and the library with AddressSanitizer in both. Cargo's own switch for it is not
# stable, hence RUSTC_BOOTSTRAP.
ASAN_TARGET := x86_64-unknown-linux-gnu
c-tests-asan:
	$(MAKE) c-tests TREE=build/asan TREE_LIB=lib-asan CFLAGS='-O1 -g -fsanitize=address'

lib-asan:
	RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address \
	    $(CARGO) build --lib --target $(ASAN_TARGET) --target-dir build/asan
	$(call link_variant,build/asan,$(ASAN_TARGET)/debug)

# The same with ThreadSanitizer, which has to see the standard library's locks too: that is built as well, from the
# sources that `rustup component add rust-src` brings.
TSAN_PROGRAMS := closing end_of_process numbers other_threads process readiness relay_threads slow_reader validation loading/rounds
c-tests-tsan:
	$(MAKE) $(addprefix build/tsan/c-tests/,$(TSAN_PROGRAMS)) TREE=build/tsan TREE_LIB=lib-tsan CFLAGS='-O1 -g -fsanitize=thread' C_TEST_EXTRA=c-tests/tsan/memory.c

lib-tsan:
	RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=thread \
	    $(CARGO) build -Zbuild-std --lib --target $(ASAN_TARGET) --target-dir build/tsan
	$(call link_variant,build/tsan,$(ASAN_TARGET)/debug)

# The library that can be told to panic, and the programs that tell it.
c-tests-panics:
	$(MAKE) $(addprefix build/panics/c-tests/injected/,panics shim_panics) TREE=build/panics TREE_LIB=lib-panics

lib-panics:
	$(CARGO) build --lib --features panic-injection --target-dir build/panics
	$(call link_variant,build/panics,debug)

# $(1) the tree, $(2) where Cargo puts the library in it.
define link_variant
mkdir -p $(1)/lib
ln -sf ../$(2)/libsslsock.so $(1)/lib/libsslsock.so.$(SOVERSION)
ln -sf libsslsock.so.$(SOVERSION) $(1)/lib/libsslsock.so
endef

# The .NET assembly, with the library beside it, by Mono's compiler.
MCS ?= mcs
MCS_FLAGS := -langversion:7 -warnaserror -debug -optimize+
DOTNET_SOURCES := $(sort $(shell find bindings/dotnet -name '*.cs' 2>/dev/null)) build/dotnet/AssemblyInfo.cs
dotnet: build/dotnet/SslSock.dll

build/dotnet/AssemblyInfo.cs: Cargo.toml Makefile
	mkdir -p $(@D)
	printf '[assembly: System.Reflection.Assembly%s]\n' 'Title("SslSock")' 'Version("$(VERSION).0")' 'FileVersion("$(VERSION).0")' \
	    'InformationalVersion("$(VERSION)")' > $@

build/dotnet/SslSock.dll: $(DOTNET_SOURCES) | lib
	@command -v $(MCS) >/dev/null || { echo 'make dotnet needs the C# compiler mcs: apt-get install mono-mcs' >&2; exit 1; }
	mkdir -p $(@D)
	ln -sf ../lib/libsslsock.so.$(SOVERSION) $(@D)/libsslsock.so.$(SOVERSION)
	$(MCS) $(MCS_FLAGS) -target:library -doc:$(@D)/SslSock.xml -out:$@ $(DOTNET_SOURCES)

# The examples in C#, each with what it needs beside it.
DOTNET_EXAMPLES := $(patsubst examples/dotnet/%.cs,build/examples/dotnet/%.exe,$(wildcard examples/dotnet/*.cs))
examples-dotnet: $(DOTNET_EXAMPLES)

build/examples/dotnet/%.exe: examples/dotnet/%.cs build/dotnet/SslSock.dll
	mkdir -p $(@D)
	cp build/dotnet/SslSock.dll $(@D)/SslSock.dll
	ln -sf ../../lib/libsslsock.so.$(SOVERSION) $(@D)/libsslsock.so.$(SOVERSION)
	# Loops with empty bodies and variables that are only set are the article's.
	$(MCS) $(MCS_FLAGS) -nowarn:219,642 -reference:build/dotnet/SslSock.dll -out:$@ $<

# Measured beside its peers: see docs/performance.md. What a peer's library is missing for is not built, and said.
BENCH_FLAGS := -std=gnu11 -Wall -Wextra -Werror -O2 -g
BENCH_PEERS := openssl gnutls mbedtls
BENCH_LIBS_openssl := -lssl -lcrypto
BENCH_LIBS_gnutls := -lgnutls
BENCH_LIBS_mbedtls := -lmbedtls -lmbedx509 -lmbedcrypto
BENCH_HEADER_openssl := openssl/ssl.h
BENCH_HEADER_gnutls := gnutls/gnutls.h
# 2.28's, which 3.0 does not have: the client is written for the former.
BENCH_HEADER_mbedtls := mbedtls/certs.h
bench_has = $(wildcard $(addsuffix /$(BENCH_HEADER_$(1)),/usr/include /usr/include/$(shell $(CC) -print-multiarch) /usr/local/include))
BENCH_CLIENTS = plain sslsock $(foreach peer,$(BENCH_PEERS),$(if $(call bench_has,$(peer)),$(peer)))

.PHONY: bench bench-quick bench-programs bench-rustls
bench:
	-./tests/packages.py gcc libgnutls28-dev libmbedtls-dev libssl-dev openssl stunnel4
	$(MAKE) bench-programs
	./benches/run.py

# Everything once, with little to do: whether it works, not how fast.
bench-quick: bench-programs
	./benches/run.py --quick

bench-programs: build/benches/bench $(if $(call bench_has,openssl),build/benches/server) bench-rustls
	@$(MAKE) --no-print-directory $(patsubst %,build/benches/%.so,$(BENCH_CLIENTS))

build/benches/bench: benches/c/harness.c benches/c/harness.h
	mkdir -p $(@D)
	$(CC) $(BENCH_FLAGS) -o $@ $< -ldl

build/benches/server: benches/c/server.c benches/c/harness.h
	mkdir -p $(@D)
	$(CC) $(BENCH_FLAGS) -o $@ $< -lssl -lcrypto -lpthread

build/benches/sslsock.so: benches/c/sslsock.c benches/c/harness.h include/sslsock.h | lib
	mkdir -p $(@D)
	$(CC) $(BENCH_FLAGS) -fPIC -shared $(SSLSOCK_CFLAGS) -o $@ $< $(SSLSOCK_LIBS)

build/benches/%.so: benches/c/%.c benches/c/harness.h
	mkdir -p $(@D)
	$(CC) $(BENCH_FLAGS) -fPIC -shared -o $@ $< $(BENCH_LIBS_$*)

# The same provider, profile and compiler as the library's.
bench-rustls:
	mkdir -p build/benches
	$(CARGO) build --quiet --release --example bench_rustls
	cp -f $(RELEASE)/examples/libbench_rustls.so build/benches/rustls.so

demo: lib examples
	$(CARGO) build --release --example mail_server
	HOST='$(HOST)' ./examples/demo

test:
	./tests/run

test-long:
	./tests/run --long

# After a change of what a program sees: writes the README's table anew.
differences: build/c-tests/calls
	tests/differences.py --write

# The same for what a .NET program sees: writes bindings/dotnet/MATRIX.md anew.
dotnet-matrix: dotnet
	tests/dotnet/matrix.py --write

# Part of the long run.
test-tsan:
	./tests/thread_sanitizer.py

# After a change of the ABI.
header:
	SSLSOCK_WRITE_HEADER=1 $(CARGO) test --quiet --test header

# Wheel, sdist and nupkg in build/packages. Needs Python's venv and pip, and mcs for the nupkg.
package:
	./bindings/package.py

install: lib
	$(INSTALL) -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCLUDEDIR)
	$(INSTALL) -m 755 $(RELEASE)/libsslsock.so $(DESTDIR)$(LIBDIR)/libsslsock.so.$(VERSION)
	ln -sf libsslsock.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libsslsock.so.$(SOVERSION)
	ln -sf libsslsock.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/libsslsock.so
	$(INSTALL) -m 644 $(RELEASE)/libsslsock.a $(DESTDIR)$(LIBDIR)/libsslsock.a
	$(INSTALL) -m 644 include/sslsock.h $(DESTDIR)$(INCLUDEDIR)/sslsock.h
	# Anew, and with the links that are other spellings of a name.
	rm -rf $(INSTALLED_WINCE)
	$(INSTALL) -d $(INSTALLED_WINCE)
	cp -RP include/wince/. $(INSTALLED_WINCE)
	chmod -R u=rwX,go=rX $(INSTALLED_WINCE)
	$(call pkg_config,$(LIBDIR),$(INCLUDEDIR)) > $(DESTDIR)$(LIBDIR)/pkgconfig/sslsock.pc
	$(call pkg_config_wince,$(LIBDIR),$(INCLUDEDIR)) > $(DESTDIR)$(LIBDIR)/pkgconfig/sslsock-wince.pc

INSTALLED_WINCE = $(DESTDIR)$(INCLUDEDIR)/sslsock/wince

uninstall:
	rm -f $(DESTDIR)$(LIBDIR)/libsslsock.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libsslsock.so.$(SOVERSION) \
	    $(DESTDIR)$(LIBDIR)/libsslsock.so $(DESTDIR)$(LIBDIR)/libsslsock.a \
	    $(addprefix $(DESTDIR)$(LIBDIR)/pkgconfig/,sslsock.pc sslsock-wince.pc) $(DESTDIR)$(INCLUDEDIR)/sslsock.h
	rm -rf $(INSTALLED_WINCE)
	[ ! -d $(dir $(INSTALLED_WINCE)) ] || rmdir --ignore-fail-on-non-empty $(dir $(INSTALLED_WINCE))

clean:
	rm -rf build
	$(CARGO) clean
