#define _GNU_SOURCE

#include "quiet.h"

#include <unistd.h>

#include "check.h"

struct quiet listen_to_errors(void)
{
    struct quiet quiet = {tmpfile(), dup(STDERR_FILENO)};

    CHECK(quiet.said != NULL && quiet.before >= 0);
    CHECK(dup2(fileno(quiet.said), STDERR_FILENO) == STDERR_FILENO);
    return quiet;
}

int stop_listening(struct quiet *quiet)
{
    int said;

    CHECK(dup2(quiet->before, STDERR_FILENO) == STDERR_FILENO);
    close(quiet->before);
    rewind(quiet->said);
    said = fgetc(quiet->said) != EOF;
    fclose(quiet->said);
    return said;
}
