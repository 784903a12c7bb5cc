/* tools/image.h - ferry image: build, list and check initramfs images */
#ifndef FERRY_TOOLS_IMAGE_H
#define FERRY_TOOLS_IMAGE_H

/** tool_image() - the subcommand; returns an exit code of enum tool_exit */
int tool_image(int argc, char **argv);

#endif
