#include "engine/http/guard.h"

static bool control(unsigned char byte)
{
    return (byte < 0x20 && byte != '\t') || byte == 0x7f;
}

const char *head_guard_feed(struct head_guard *guard, unsigned char byte)
{
    if (guard->cr) {
        guard->cr = false;
        if (byte != '\n')
            return "a carriage return without a line feed";
        guard->over = guard->column == 0;
        guard->column = 0;
        guard->line++;
        return NULL;
    }
    if (byte == '\r') {
        guard->cr = true;
        return NULL;
    }
    if (byte == '\n')
        return "a line feed without a carriage return";
    if (control(byte))
        return "a control byte in the head";
    if (guard->column == 0 && (byte == ' ' || byte == '\t'))
        return "a line that begins with white space";
    guard->column++;
    return NULL;
}

size_t head_guard_run(struct head_guard *guard, const char *bytes, size_t length)
{
    size_t run = 0;

    if (guard->cr || guard->column == 0)
        return 0;
    while (run < length && !control((unsigned char)bytes[run]))
        run++;
    guard->column += run;
    return run;
}

static bool hexadecimal(unsigned char byte)
{
    return (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f');
}

static const char *size_byte(struct chunk_guard *guard, unsigned char byte)
{
    if (hexadecimal(byte)) {
        guard->zero = (guard->place == CHUNK_SIZE_FIRST || guard->zero) && byte == '0';
        guard->place = CHUNK_SIZE;
        return NULL;
    }
    if (guard->place == CHUNK_SIZE_FIRST)
        return "a chunk without a size";
    if (byte != '\r' && byte != ';')
        return "a chunk size that is no number";
    guard->place = byte == ';' ? CHUNK_EXTENSION : CHUNK_SIZE_LF;
    return NULL;
}

static const char *extension_byte(struct chunk_guard *guard, unsigned char byte)
{
    if (byte == '\r')
        guard->place = CHUNK_SIZE_LF;
    else if (control(byte))
        return "a control byte in a chunk extension";
    return NULL;
}

static const char *expect(struct chunk_guard *guard, unsigned char byte, unsigned char wanted, enum chunk_place next)
{
    if (byte != wanted)
        return "a chunk that does not end as its size says";
    guard->place = next;
    return NULL;
}

static const char *trailer_byte(struct chunk_guard *guard, unsigned char byte)
{
    const char *why = head_guard_feed(&guard->lines, byte);

    if (guard->lines.over)
        guard->place = CHUNK_OVER;
    return why;
}

const char *chunk_guard_feed(struct chunk_guard *guard, unsigned char byte)
{
    if (++guard->run > guard->limit)
        return "chunk extensions or trailers that are too long";
    switch (guard->place) {
    case CHUNK_SIZE_FIRST:
    case CHUNK_SIZE:
        return size_byte(guard, byte);
    case CHUNK_EXTENSION:
        return extension_byte(guard, byte);
    case CHUNK_SIZE_LF:
        return expect(guard, byte, '\n', guard->zero ? CHUNK_TRAILERS : CHUNK_DATA_CR);
    case CHUNK_DATA_CR:
        return expect(guard, byte, '\r', CHUNK_DATA_LF);
    case CHUNK_DATA_LF:
        return expect(guard, byte, '\n', CHUNK_SIZE_FIRST);
    case CHUNK_TRAILERS:
        return trailer_byte(guard, byte);
    case CHUNK_OVER:
        break;
    }
    return "bytes after the last chunk";
}
