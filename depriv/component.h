/* The ring-3 component as ring 0 sees it: an image to map, never to run in ring 0. */
#ifndef DEPRIV_COMPONENT_H
#define DEPRIV_COMPONENT_H

#include "kernel/domain.h"

struct vcpu;

/* Builds d->user_root: component, info page, guest RAM, modules. d->frames and d->info are filled. 0, -E_NOMEM, or -E_INVAL when the
 * domain's own component image has a bad header (said in the log). */
int component_map(struct domain *d);
int component_map_vcpu(struct vcpu *v);      /* its frame page and user stack, and where ring 3 is entered */
void component_end_load(struct domain *d);   /* the modules are no longer needed: unmap them */
void component_unmap(struct domain *d);      /* frees everything that component_map allocated */

#endif
