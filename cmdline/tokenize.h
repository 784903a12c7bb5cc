/*
 * cmdline/tokenize.h - the kernel's splitting of a command line into words
 *
 * The same routine serves kernel words and init's words. Nothing is allocated;
 * the text is cut up in place. Source: shared specification cmdline.md 7.1
 * (Linux lib/cmdline.c, next_arg).
 */
#ifndef FERRY_CMDLINE_TOKENIZE_H
#define FERRY_CMDLINE_TOKENIZE_H

#include <stdbool.h>

/**
 * struct token - one word
 * @name:	the word, or the part before '='; may be ""
 * @value:	the part after '=' without the quotes that the kernel drops,
 *		NULL: the word has no value
 */
struct token {
	char *name;
	char *value;
};

/**
 * token_blank() - is @c one of the kernel's blanks (0x20, HT to CR, 0xA0)?
 */
bool token_blank(char c);

/**
 * token_next() - cut the next word off
 * @at:		cursor in a writable, NUL-terminated text; moves on
 * @t:		receives pointers into that text
 *
 * Return: false at the end of the text, *@t is untouched then
 */
bool token_next(char **at, struct token *t);

/**
 * token_join() - name and value of a word back into one string in place, as
 * the kernel does for init's arguments ("name=value" without the quotes)
 *
 * Return: the string, which is inside the same text as @t
 */
char *token_join(const struct token *t);

#endif
