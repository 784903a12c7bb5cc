/*
 * migration/scsi_job.h - jobs on one slot, and the parts that migration/scsi.c
 * and the saved state share. Inside of the SCSI controller only.
 */
#ifndef FERRY_MIGRATION_SCSI_JOB_H
#define FERRY_MIGRATION_SCSI_JOB_H

#include "migration/scsi.h"

enum scsi_disk_event {
	SCSI_DISK_EV_ATTACH,
	SCSI_DISK_EV_EJECT,
	SCSI_DISK_EV_DETACH,
	SCSI_DISK_EV_SAVE,
	SCSI_DISK_EVENTS, /* number of events */
};

enum scsi_mount_event {
	SCSI_MOUNT_EV_MOUNT,
	SCSI_MOUNT_EV_UNMOUNT,
	SCSI_MOUNT_EV_SAVE,
	SCSI_MOUNT_EVENTS, /* number of events */
};

/* Parts; each says NULL or -ENOMEM with @e, and owns what it made. */
struct scsi_disk *scsi_disk_new(struct scsi_ctl *c, uint32_t slot,
				const struct scsi_disk_config *config,
				struct err *e);
struct scsi_mount *scsi_mount_new(struct scsi_disk *d, uint64_t partition,
				  const struct scsi_mount_config *config,
				  const char *guest_path, struct err *e);
int scsi_reservation_new(struct scsi_ctl *c, const char *id, uint32_t slot,
			 uint64_t partition, struct err *e);

struct scsi_mount *scsi_disk_mount(const struct scsi_disk *d,
				   uint64_t partition);
void scsi_mount_drop(struct scsi_disk *d, struct scsi_mount *m);
void scsi_disk_drop(struct scsi_disk *d);

#endif
