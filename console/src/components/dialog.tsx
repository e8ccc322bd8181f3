// A modal dialog: focus stays inside and returns to where it came from, Escape and a tap outside close it.
import { useRef, type ReactNode } from 'react';
import { Overlay } from 'react-aria/Overlay';
import { useDialog } from 'react-aria/useDialog';
import { useModalOverlay } from 'react-aria/useModalOverlay';
import { useOverlayTriggerState } from 'react-stately/useOverlayTriggerState';

interface Props {
  title: string;
  onClose: () => void;
  children: ReactNode;
  wide?: boolean;
}

export function Dialog({ title, onClose, children, wide = false }: Props) {
  return (
    <Overlay>
      <Modal title={title} onClose={onClose} wide={wide}>
        {children}
      </Modal>
    </Overlay>
  );
}

function Modal({ title, onClose, children, wide }: Props) {
  const ref = useRef<HTMLDivElement>(null);
  const state = useOverlayTriggerState({ isOpen: true, onOpenChange: (open) => !open && onClose() });
  const { modalProps, underlayProps } = useModalOverlay({ isDismissable: true }, state, ref);
  const { dialogProps, titleProps } = useDialog({}, ref);
  return (
    <div className="underlay" {...underlayProps}>
      <div {...modalProps} {...dialogProps} ref={ref} className={wide ? 'dialog wide' : 'dialog'}>
        <div className="dialog-head">
          <h2 {...titleProps}>{title}</h2>
          <button type="button" className="quiet" onClick={onClose} aria-label="Close">
            <span aria-hidden="true">✕</span>
          </button>
        </div>
        {children}
      </div>
    </div>
  );
}
